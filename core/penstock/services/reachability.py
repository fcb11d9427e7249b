"""Which stored bytes a record refers to: the mark phase of verifying and of clearing away.

Both sides are read in the order of their SHA-256, side by side, so that nothing is held but a page of names.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.ports import ArtifactStore, MetadataStore, StoredObject

GRACE_S = 24 * 3600.0
"""A younger object may belong to a record that is about to be written: bytes come first, the record last."""

_PAGE = 1000


def referred(store: MetadataStore) -> Iterator[str]:
    """Yield the SHA-256 of every blob that a record refers to, each once, in order."""
    after = ""
    while page := store.list_blobs(after, _PAGE):
        yield from page
        after = page[-1]


def orphans(store: MetadataStore, artifacts: ArtifactStore, older_than_s: float = GRACE_S) -> Iterator[StoredObject]:
    """Yield the objects that no record refers to and that are older than this.

    An object whose record is written while we read may be yielded: removing one is for `penstock gc`, which asks again.
    """
    names = referred(store)
    name = next(names, None)
    for stored in artifacts.list_objects():
        while name is not None and name < stored.sha256:
            name = next(names, None)
        if name != stored.sha256 and stored.age_s >= older_than_s:
            yield stored
