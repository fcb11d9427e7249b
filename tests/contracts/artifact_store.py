"""What an `ArtifactStore` must do, whatever it is made of. No store is named here."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Protocol

import pytest

from penstock.errors import Corrupted, InvalidValue, NotFound, StoreUnavailable
from penstock.ports import ArtifactStore

# More than two parts of whatever a store cuts large objects into.
LARGE_BYTES = (16 << 20) + 5


class Inside(Protocol):
    """The stored objects as somebody sees them who goes past the store."""

    def hashes(self) -> list[str]:
        """The SHA-256 names of the visible objects."""
        ...

    def read(self, sha256: str) -> bytes: ...

    def replace(self, sha256: str, content: bytes) -> None: ...

    def delete(self, sha256: str) -> None: ...


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(content)
    return path


def sha256_of(content: bytes) -> str:
    """The name that content has in any store."""
    return hashlib.sha256(content).hexdigest()


class ArtifactStoreContract:
    """Subclasses give the fixtures `store` (an empty store) and `inside` (its objects, past the store)."""

    @pytest.mark.parametrize("size", [0, 1, 3_000_000, LARGE_BYTES])
    def test_what_was_put_comes_back(self, store: ArtifactStore, tmp_path: Path, size: int) -> None:
        content = os.urandom(size)
        sha256 = sha256_of(content)
        assert store.put_file(written(tmp_path / "file.bin", content)) == (sha256, size)
        store.fetch(sha256, tmp_path / "new" / "folder" / "file.bin")
        assert (tmp_path / "new" / "folder" / "file.bin").read_bytes() == content

    def test_the_same_bytes_are_stored_once(self, store: ArtifactStore, inside: Inside, tmp_path: Path) -> None:
        same = [store.put_file(written(tmp_path / name, b"same")) for name in ("a", "b", "a")]
        assert same == [(sha256_of(b"same"), 4)] * 3
        assert inside.hashes() == [sha256_of(b"same")]

    @pytest.mark.parametrize(
        ("damage", "size"), [("flip", 7_000), ("cut", 7_000), ("delete", 7_000), ("flip", LARGE_BYTES)]
    )
    def test_damaged_bytes_are_refused_and_not_handed_out(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path, damage: str, size: int
    ) -> None:
        sha256, _ = store.put_file(written(tmp_path / "model", os.urandom(size)))
        if damage == "delete":
            inside.delete(sha256)
        else:
            content = bytearray(inside.read(sha256))
            content[-1] ^= 1
            inside.replace(sha256, bytes(content if damage == "flip" else content[:-1]))
        with pytest.raises(Corrupted, match=sha256):
            store.fetch(sha256, tmp_path / "back.bin")
        with pytest.raises(Corrupted, match=sha256):
            store.fetch_all([(sha256, tmp_path / "back.bin")])
        assert not (tmp_path / "back.bin").exists()

    @pytest.mark.parametrize("size", [7_000, LARGE_BYTES])
    def test_an_object_that_was_cut_short_is_mended_by_storing_it_again(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path, size: int
    ) -> None:
        file = written(tmp_path / "file.bin", os.urandom(size))
        sha256, _ = store.put_file(file)
        inside.replace(sha256, b"damaged")
        assert store.put_file(file) == (sha256, size)
        store.fetch(sha256, tmp_path / "back.bin")

    def test_objects_are_deleted_once_and_stored_again_like_new_ones(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        files = [written(tmp_path / name, name.encode()) for name in ("a", "b", "c")]
        gone, other, kept = (sha256 for sha256, _ in store.put_files(files))
        assert store.delete_objects([gone, "0" * 64, other], 60) == ["0" * 64]
        assert inside.hashes() == [kept]
        assert sorted(store.delete_objects([gone, other], 60)) == sorted([gone, other])
        with pytest.raises(Corrupted, match="missing"):
            store.fetch(gone, tmp_path / "back")
        with pytest.raises(StoreUnavailable, match="Run it again"):
            store.delete_objects([kept], 0)
        assert inside.hashes() == [kept]
        store.put_file(files[0])
        store.fetch(gone, tmp_path / "back")

    def test_only_regular_files_are_stored_and_a_fifo_does_not_hang(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "link").symlink_to("/etc/passwd")
        for name, kind in (("fifo", "FIFO"), ("link", "symbolic link"), (".", "folder")):
            with pytest.raises(InvalidValue, match=kind):
                store.put_file(tmp_path / name)
        with pytest.raises(NotFound, match="missing"):
            store.put_file(tmp_path / "missing")
        assert inside.hashes() == []

    def test_a_file_that_changes_while_it_is_stored_is_refused_and_leaves_nothing(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        file = written(tmp_path / "growing", os.urandom(LARGE_BYTES))

        def grow(_so_far: int, _total: int) -> None:
            with file.open("ab") as more:
                more.write(b"x")

        with pytest.raises(InvalidValue, match="does not change while it is stored"):
            store.put_file(file, grow)
        assert inside.hashes() == []
        assert store.sweep_incoming(0) == []

    def test_many_files_are_stored_and_fetched_together_in_order(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        contents = [os.urandom(100 + i % 7) for i in range(100)]
        files = [written(tmp_path / f"{i}", content) for i, content in enumerate(contents)]
        stored = store.put_files(files)
        assert stored == [(sha256_of(content), len(content)) for content in contents]
        assert inside.hashes() == sorted(sha for sha, _ in stored)
        store.fetch_all([(sha, tmp_path / "back" / f"{i}") for i, (sha, _) in enumerate(stored)])
        assert [(tmp_path / "back" / f"{i}").read_bytes() for i in range(100)] == contents
        assert store.put_files([]) == []
        store.fetch_all([])

    def test_one_file_of_many_that_cannot_be_stored_or_fetched_is_an_error(
        self, store: ArtifactStore, tmp_path: Path
    ) -> None:
        files = [written(tmp_path / f"{i}", b"%d" % i) for i in range(20)]
        with pytest.raises(NotFound, match="missing"):
            store.put_files([*files[:10], tmp_path / "missing", *files[10:]])
        stored = [(sha, tmp_path / "back" / sha) for sha, _ in store.put_files(files)]
        unknown = "0" * 64
        with pytest.raises(Corrupted, match=unknown):
            store.fetch_all([*stored[:10], (unknown, tmp_path / "back" / "x"), *stored[10:]])
        assert not (tmp_path / "back" / "x").exists()

    def test_progress_grows_up_to_the_size(self, store: ArtifactStore, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        sha256, _ = store.put_file(written(tmp_path / "a", os.urandom(LARGE_BYTES)), lambda *at: seen.append(at))
        sent = list(seen)
        seen.clear()
        store.fetch(sha256, tmp_path / "b", lambda *at: seen.append(at))
        for steps in (sent, seen):
            assert len(steps) >= 3
            assert steps == sorted(steps)
            assert steps[-1] == (LARGE_BYTES, LARGE_BYTES)
            assert {total for _, total in steps} == {LARGE_BYTES}

    def test_writers_of_the_same_and_of_other_bytes_do_not_disturb_each_other(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        large = written(tmp_path / "large", os.urandom(LARGE_BYTES))
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                sha256, _ = store.put_file(written(tmp_path / f"{number}", b"%d" % (number % 3)))
                store.fetch(sha256, tmp_path / f"{number}-back")
                assert (tmp_path / f"{number}-back").read_bytes() == b"%d" % (number % 3)
                store.put_file(large)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(inside.hashes()) == 4
        store.fetch(sha256_of(large.read_bytes()), tmp_path / "large-back")

    def test_a_store_that_was_used_before_a_fork_works_on_both_sides(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        store.put_file(written(tmp_path / "before", b"before"))
        file = written(tmp_path / "child", b"child")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.put_file(file)
                store.fetch(sha256_of(b"before"), tmp_path / "back")
                code = 0
            finally:
                os._exit(code)
        store.put_file(written(tmp_path / "parent", b"parent"))
        assert os.waitpid(child, 0)[1] == 0
        assert len(inside.hashes()) == 3

    def test_objects_are_listed_by_name_with_their_size_and_age(
        self, store: ArtifactStore, inside: Inside, tmp_path: Path
    ) -> None:
        assert list(store.list_objects()) == []
        contents = [b"x" * size for size in range(30)]
        stored = store.put_files([written(tmp_path / f"{len(content)}", content) for content in contents])
        store.fetch(stored[3][0], tmp_path / "back")
        listed = list(store.list_objects())
        assert [(each.sha256, each.size_bytes) for each in listed] == sorted(stored)
        assert all(0 <= each.age_s < 60 for each in listed)
        inside.delete(stored[7][0])
        assert [each.sha256 for each in store.list_objects()] == sorted({sha for sha, _ in stored} - {stored[7][0]})

    def test_sweeping_takes_no_object(self, store: ArtifactStore, inside: Inside, tmp_path: Path) -> None:
        sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
        assert store.sweep_incoming(0) == []
        assert inside.hashes() == [sha256]

    def test_a_target_that_cannot_be_written_is_named(self, store: ArtifactStore, tmp_path: Path) -> None:
        sha256, _ = store.put_file(written(tmp_path / "a", b"content"))
        with pytest.raises(StoreUnavailable, match=str(tmp_path / "a" / "b")):
            store.fetch(sha256, tmp_path / "a" / "b")
