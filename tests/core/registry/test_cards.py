"""Model cards: everything from the record, nothing that data or people wrote becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from penstock.errors import InvalidValue, NotFound
from penstock.model.notes import Notes
from tests import tiny
from tests.core.registry.conftest import Shop

HOSTILE = "<script>alert(1)</script> [x](javascript:alert) | `a` \u202e"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_a_card_says_what_where_from_how_good_and_why_it_was_let_in(shop: Shop) -> None:
    shop.client.describe(tiny.MODEL, "Tells benign from malignant.\nNot for diagnosis.", version=3)
    shop.client.set_tag(tiny.MODEL, "owner", "clinic", version=3)
    text = shop.client.model_card(tiny.MODEL, 3)
    found = shop.client.lineage(tiny.MODEL, 3)
    assert found.decision is not None
    for said in (
        "# benign v3",
        "> Not for diagnosis.",
        "champion",
        found.version.run_id,
        found.version.payload_digest,
        *found.training_data.values(),
        found.decision.policy_digest,
        "mean radius",
        "roc\\_auc",
        "pipeline \\(asserted\\)",
        "3 rows of its input example",
        "clinic",
    ):
        assert said in text, said
    assert "## Measured, against models:/benign@champion \\(v2\\)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) >= 3 for row in rows)


def test_nothing_hostile_becomes_markup_and_the_page_fetches_nothing(shop: Shop) -> None:
    shop.client.describe(tiny.MODEL, HOSTILE, version=3)
    shop.client.set_tag(tiny.MODEL, "note", HOSTILE, version=3)
    page = shop.client.model_card(tiny.MODEL, 3, html=True)
    tags = _Tags()
    tags.feed(page)
    assert not tags.seen & {"script", "a", "img", "link", "iframe"}
    assert not {name for name in tags.attributes if name.startswith("on") or name in {"src", "href"}}
    assert "\u202e" not in page
    assert "default-src &#x27;none&#x27;" in page
    text = shop.client.model_card(tiny.MODEL, 3)
    assert "<script" not in text.replace("\\<", "")
    assert "](javascript" not in text.replace("\\]\\(", "")


def test_notes_change_and_who_wrote_them_is_kept(shop: Shop) -> None:
    client = shop.client
    client.describe(tiny.MODEL, "first")
    client.describe(tiny.MODEL, "second")
    client.set_tag(tiny.MODEL, "team", "a")
    client.remove_tag(tiny.MODEL, "team")
    assert client.notes(tiny.MODEL) == Notes("second", {})
    (note,) = client.wiring.store.list_notes(tiny.MODEL, None)
    assert (note.actor["subject"], note.written_at is not None) == ("tester", True)
    client.describe(tiny.MODEL, "")
    assert client.notes(tiny.MODEL) == Notes()
    with pytest.raises(NotFound, match="registered model"):
        client.describe("nobody", "x")
    for text in ("a\x00b", "\x1b[31m", 3):
        with pytest.raises(InvalidValue, match="description"):
            client.describe(tiny.MODEL, text)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="name"):
        client.set_tag(tiny.MODEL, "", "x")
