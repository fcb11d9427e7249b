"""Every path trick through every door that takes a path, a URI or a name: refused, and nothing outside is touched.

A canary lies beside the store. Each trick tries to reach it, or a file of the system; an audit hook sees every file
that is opened, made, moved or removed.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.artifacts.cache import CachedArtifacts
from penstock.artifacts.local import LocalArtifacts
from penstock.artifacts.urls import parse_artifact_location
from penstock.errors import Corrupted, InvalidValue, NotFound, Terminal
from penstock.model.runs import RunStatus
from tests import tiny
from tests.contracts.artifact_store import written
from tests.security.outside import outside, touched
from tests.tiny_pipeline import retrain

SECRET = b"the canary's own words"

# Each leads from where the store is to the canary, or to a file of the system, if anybody follows it.
PATHS = [
    "../canary/secret",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "{canary}/secret",
    "..%2fcanary%2fsecret",
    "%2e%2e/canary/secret",
    "..%252fcanary%252fsecret",
    "..\\canary\\secret",
    "a/../../canary/secret",
    "a/./../../canary/secret",
    "a//../../canary/secret",
    "../canary/secret\0.txt",
    "a\0/../../canary/secret",
    "．．／canary／secret",
    "‥/canary/secret",
    "..／canary/secret",
    "../canary/secret\n",
    "\t../canary/secret",
    " ../canary/secret",
    "C:/canary/secret",
    "C:\\canary\\secret",
    "\\\\server\\share",
    "//?/C:/canary",
    "//proc/self/root/etc/passwd",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "FILE:///etc/passwd",
    "\tfile:///etc/passwd",
    "file://./etc/passwd",
    "file://localhost/etc/passwd",
    "file://host/../etc/passwd",
    "file:%2f%2f/etc/passwd",
    "~/../../etc/passwd",
    "..",
    ".",
    "",
]
# As a name of a file these are ordinary, if odd: they stay where they are put.
ORDINARY = {"..%2fcanary%2fsecret", "%2e%2e/canary/secret", "..%252fcanary%252fsecret"}

URIS = [
    "http:///?/../../etc",
    "http:///#/../../etc",
    "s3://bucket/k;../../etc",
    "s3://bucket/a?x=/../../",
    "s3://bucket/a#/../../etc",
    "s3://bucket/../../etc",
    "s3://bucket/a/../../etc",
    "s3://bucket/a\\..\\..",
    "s3://key:secret@bucket/a",
    "s3:/bucket/../etc",
    "dbfs:/../../etc",
    "mlflow-artifacts:/../../etc",
    "file:///etc",
    "file:/etc",
    "FILE:/etc",
    "C:/etc",
    "C:\\etc",
    "\\\\server\\share",
    "a\0b",
    "a\nb",
]


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "canary"
    folder.mkdir()
    written(folder / "secret", SECRET)
    before = (folder / "secret").stat()
    yield folder
    after = (folder / "secret").stat()
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_bytes() == SECRET
    assert (after.st_mtime_ns, after.st_ino, after.st_mode) == (before.st_mtime_ns, before.st_ino, before.st_mode)


@pytest.fixture
def root(tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that anything may touch: the store, its artifacts, the working directory, scratch files."""
    folder = tmp_path / "root"
    (folder / "scratch").mkdir(parents=True)
    (folder / ".git").mkdir()  # a run asks for its commit, in this folder or those above
    written(folder / ".git" / "HEAD", b"0" * 40)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "scratch"))
    monkeypatch.setenv("PENSTOCK_CACHE", str(folder / "cache"))
    return folder


@pytest.fixture
def inside(root: Path) -> Iterator[penstock.Client]:
    with penstock.connect(f"sqlite:///{root / 'penstock.db'}", root / "artifacts", actor="tester") as client:
        yield client


def _tricks(canary: Path) -> list[str]:
    return [path.replace("{canary}", str(canary)) for path in PATHS]


def _refused(root: Path, door: str, given: str, call: Callable[[], Any]) -> str:
    """Call, see that it is refused for good and touches nothing outside; return the words it is refused with."""
    with touched() as paths:
        try:
            call()
        except Terminal as error:
            told = str(error)
        else:
            raise AssertionError(f"{door} took {given!r}")
    assert outside(paths, root) == [], (door, given)
    assert SECRET.decode() not in told
    assert told.isprintable(), (door, given, told)
    return told


def test_the_hook_sees_what_is_opened_outside(root: Path, canary: Path) -> None:
    with touched() as paths:
        (canary / "secret").read_bytes()
        written(root / "mine", b"")
        shutil.copyfile(root / "mine", root / "copy")
        list(canary.iterdir())
    assert outside(paths, root) == [str(canary / "secret"), str(canary)]
    assert outside(paths, root, canary) == []


def test_artifact_paths_lead_nowhere_else(inside: penstock.Client, root: Path, canary: Path) -> None:
    file = written(root / "file", b"content")
    with inside.open_run("e", "p") as run:
        for given in _tricks(canary):
            if given in ORDINARY:
                assert run.log_artifact(file, given).path == given
            elif given:  # nothing: the file's own name
                told = _refused(root, "artifact path", given, partial(run.log_artifact, file, given))
                assert "artifact path: expected a" in told
    blobs = [path for path in root.rglob("*") if path.is_file() and path.read_bytes() == b"content"]
    assert [path.parent.parent.name for path in blobs if path != file] == ["blobs"]


def test_a_file_to_store_is_a_file_and_no_link_to_one(inside: penstock.Client, root: Path, canary: Path) -> None:
    (root / "link").symlink_to(canary / "secret")
    (root / "folder").symlink_to(canary)
    with inside.open_run("e", "p") as run:
        for given in ("link", str(root / "link"), "folder"):
            told = _refused(root, "file", given, partial(run.log_artifact, given, "a"))
            assert "this is a symbolic link" in told


def test_model_uris_name_models_and_no_files(inside: penstock.Client, root: Path, canary: Path) -> None:
    run_id = inside.open_run("e", "p").run_id
    for trick in _tricks(canary):
        forms = [f"runs:/{run_id}/{trick}", f"runs:/{trick}/model", f"models:/{trick}", f"models:/{trick}/1"]
        forms += [
            f"models:/name@{trick}",
            f"models:/{trick}@champion",
            f"models:/name/{trick}",
            f"models:/name/1/{trick}",
        ]
        for given in forms:
            _refused(root, "load_model", given, partial(inside.load_model, given))
            _refused(root, "register", given, partial(inside.register, "name", given))
        if ":" in trick:
            _refused(root, "load_model", trick, partial(inside.load_model, trick))
        _refused(root, "register", trick, partial(inside.register, "name", trick))


def test_names_are_names(inside: penstock.Client, root: Path, canary: Path) -> None:
    run = inside.open_run("e", "p")
    doors: dict[str, Callable[[str], Any]] = {
        "experiment": lambda name: inside.open_run(name, "p"),
        "step": lambda name: run.step(name, lambda: None),
        "model of a run": lambda name: run.log_model(_model(), name),
        "joined run": inside.join_run,
        "run": inside.get_run,
        "closed run": inside.close_run,
        "evaluation": inside.get_evaluation,
        "decision": inside.get_decision,
        "model": lambda name: inside.get_version(name, 1),
        "alias": lambda name: inside.get_version_by_alias("name", name),
        "model with an alias": lambda name: inside.get_version_by_alias(name, "champion"),
        "promotion": lambda name: inside.promote(name, "champion", 1),
        "ungated model": lambda name: inside.declare_ungated(name, "why"),
        "webhook": lambda name: inside.add_webhook(name, "https://example.org/hook", secret="KEY"),
    }
    for door, call in doors.items():
        for given in _tricks(canary):
            _refused(root, door, given, partial(call, given))
    run.close(RunStatus.FINISHED)


def test_a_partition_is_text_and_never_a_path(inside: penstock.Client, root: Path, canary: Path) -> None:
    with touched() as paths:
        for given in _tricks(canary):
            try:
                run = inside.open_run("e", given)
            except InvalidValue:
                continue
            run.log_params({"path": given})
            details = inside.get_run(run.run_id)
            assert (details.run.key.partition, details.params) == (given, {"path": given})
            run.close()
    assert outside(paths, root) == []


def test_webhooks_go_to_http_and_nowhere_else(inside: penstock.Client, root: Path, canary: Path) -> None:
    for given in [*_tricks(canary), *URIS]:
        if not given.startswith("http"):
            call = partial(inside.add_webhook, "hook", given, secret="KEY")
            _refused(root, "webhook target", given, call)
    assert inside.list_webhooks() == []


@pytest.mark.parametrize("given", URIS)
def test_an_artifact_root_is_a_folder_or_a_bucket(root: Path, canary: Path, given: str) -> None:
    told = _refused(root, "artifacts", given, lambda: parse_artifact_location(given))
    assert "expected a local folder, or s3://bucket" in told
    assert "secret" not in told
    _refused(root, "connect", given, lambda: penstock.connect("sqlite:///penstock.db", given))


def test_data_is_a_path_or_a_bucket_and_no_other_url(inside: penstock.Client, root: Path, canary: Path) -> None:
    with inside.open_run("e", "p") as run:
        for given in [*_tricks(canary), *URIS]:
            if "://" in given and not given.startswith("s3:"):
                told = _refused(root, "data", given, partial(run.log_input, given))
                assert "etc" not in told
            if "\0" in given or given.endswith("\n"):
                _refused(root, "data", given, partial(run.log_input, given))


@pytest.fixture
def released(inside: penstock.Client, root: Path) -> penstock.Client:
    """A store with a version that holds an alias."""
    retrain(inside, "2013-03", tiny.held_out_file(root))
    return inside


@pytest.mark.parametrize("given", ["../canary/secret", "{canary}/secret", "a/../../../../canary/secret", "..\\x"])
def test_a_record_changed_behind_the_store_does_not_lead_a_download_out_of_its_folder(
    released: penstock.Client, root: Path, canary: Path, given: str
) -> None:
    given = given.replace("{canary}", str(canary))
    with sqlite3.connect(root / "penstock.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute("UPDATE model_files SET path = ? WHERE path = 'MLmodel'", (given,)).rowcount
    with touched() as paths:
        with pytest.raises(Corrupted, match="relative path in the model's folder"):
            released.load_model(f"models:/{tiny.MODEL}@champion")
        found = {finding.check for finding in released.verify()}
    assert {"manifest", "bytes"} <= found
    assert outside(paths, root) == []


@pytest.mark.parametrize("cached", [False, True])
def test_an_object_is_named_by_its_digest_and_by_nothing_else(root: Path, canary: Path, cached: bool) -> None:
    store: Any = LocalArtifacts(root / "artifacts")
    if cached:
        store = CachedArtifacts(store, root / "cache")
    store.put_file(written(root / "file", b"content"))
    for given in [*_tricks(canary), "A" * 64, "0" * 63, "0" * 64 + "\n"]:
        _refused(root, "fetch", given, partial(store.fetch, given, root / "back"))
        _refused(root, "fetch_all", given, partial(store.fetch_all, [(given, root / "back")]))
        _refused(root, "delete", given, partial(store.delete_objects, [given], 60.0))
    assert not (root / "back").exists()


def _model() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit([[0.0], [1.0]], [0, 1])


def _saved(inside: penstock.Client, root: Path) -> Path:
    """A model's folder as somebody hands it over."""
    folder = root / "handed-over"
    inside.wiring.model_format().save(_model(), folder, run_id="0" * 32, name="model")
    return folder


def test_an_mlmodel_file_names_files_of_its_own_folder(inside: penstock.Client, root: Path, canary: Path) -> None:
    folder = _saved(inside, root)
    inside.load_model(str(folder))
    text = (folder / "MLmodel").read_text()
    assert text.count("model.skops") == 2
    for given in _tricks(canary):
        quoted = "'" + given.replace("'", "''") + "'" if given.isprintable() else repr(given).replace("'", '"')
        (folder / "MLmodel").write_text(text.replace("model.skops", quoted))
        _refused(root, "pickled_model", given, lambda: inside.load_model(str(folder)))
    (folder / "MLmodel").write_text(text)
    shutil.copy(folder / "model.skops", canary.parent / "elsewhere.skops")
    (folder / "model.skops").unlink()
    (folder / "model.skops").symlink_to(canary.parent / "elsewhere.skops")
    told = _refused(root, "link", "model.skops", lambda: inside.load_model(str(folder)))
    assert "a file in the model's folder" in told


@pytest.mark.parametrize("member", ["../../canary/secret", "/etc/x", "{canary}/planted", "..\\..\\canary\\x", "C:/x"])
def test_the_members_of_an_archive_are_never_unpacked(
    inside: penstock.Client, root: Path, canary: Path, member: str
) -> None:
    folder = _saved(inside, root)
    with zipfile.ZipFile(folder / "model.skops", "a") as archive:
        archive.writestr(member.replace("{canary}", str(canary)), b"planted")
    with touched() as paths, suppress(Terminal):
        inside.load_model(str(folder))
    assert outside(paths, root) == []


def test_a_name_that_is_not_there_is_told_without_looking_for_it_elsewhere(
    inside: penstock.Client, root: Path, canary: Path
) -> None:
    for given in ("name", "name-2", "m-" + "0" * 32):
        with touched() as paths, pytest.raises((NotFound, InvalidValue)):
            inside.load_model(f"models:/{given}/1")
        assert outside(paths, root) == []
