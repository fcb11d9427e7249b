"""Checking a store against itself: the ledger, what it says of the present, and every byte that a version needs.

Reads only. An edit, a deletion, an insertion or a reordering is found from the database alone; a consistent
recomputation of a whole chain, or a tail cut off together with its head, only against an anchor kept elsewhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.errors import Corrupted, InvalidValue, PenstockError
from penstock.model.audit import GENESIS, AuditEvent, ChainHead, ChainId, flaw_in
from penstock.model.evaluations import BASELINE, CANDIDATE, Evaluation
from penstock.model.runs import RunStatus
from penstock.model.versions import LoggedModel, ModelVersion, manifest_digest
from penstock.services.deciding import replay
from penstock.services.evaluation import overall_values
from penstock.services.wiring import Wiring

_EVERY = 10**9


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written: which check found it, on what, and what is wrong."""

    check: str
    subject: str
    problem: str


@dataclass
class _Told:
    """What the ledger's entries, read in order, say of the present."""

    runs: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, Any] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)
    versions: dict[tuple[str, int], str] = field(default_factory=dict)
    aliases: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    moves: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, entry: AuditEvent) -> None:
        """Take in one entry."""
        subject, after = entry.subject, entry.after
        if entry.kind in {"run_opened", "run_reopened"}:
            self.runs[subject["run_id"]] = RunStatus.RUNNING.value
        elif entry.kind == "run_ended":
            self.runs[subject["run_id"]] = after
        elif entry.kind == "evaluation_recorded":
            self.evaluations[subject["evaluation_id"]] = after
        elif entry.kind == "decision_made":
            self.decisions[subject["decision_id"]] = after
        elif entry.kind == "version_registered":
            self.versions[entry.chain.name, after["version"]] = after["payload_digest"]
        elif entry.kind == "alias_moved":
            key = (entry.chain.name, subject["alias"])
            self.aliases[key] = (after["version"], after["generation"])
            self.moves[key] = self.moves.get(key, 0) + 1


def anchor(wiring: Wiring) -> dict[str, Any]:
    """Return where every chain ends now, as plain JSON, to be kept where the database's owner cannot change it."""
    heads = wiring.store.list_chain_heads()
    return {"chains": {str(head.chain): {"sequence": head.sequence, "hash": head.hash} for head in heads}}


def verify(wiring: Wiring, anchored: Mapping[str, Any] | None = None, *, read_bytes: bool = True) -> Iterator[Finding]:
    """Yield everything that is not as it was written; nothing if the store is sound.

    `anchored` is what `anchor` returned earlier. With `read_bytes` every file of every version is fetched and hashed.
    """
    anchors = _anchors(anchored)
    told = _Told()
    yield from _ledger(wiring, told, anchors)
    yield from _runs(wiring, told)
    yield from _judgements(wiring, told)
    yield from _registry(wiring, told)
    if read_bytes:
        yield from _bytes(wiring)


def _anchors(anchored: Mapping[str, Any] | None) -> dict[str, tuple[int, str]]:
    if anchored is None:
        return {}
    try:
        return {name: (int(end["sequence"]), str(end["hash"])) for name, end in anchored["chains"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue("anchor", anchored, "what 'penstock db anchor' wrote") from error


def _ledger(wiring: Wiring, told: _Told, anchors: Mapping[str, tuple[int, str]]) -> Iterator[Finding]:
    heads = {head.chain: head for head in wiring.store.list_chain_heads()}
    ends: dict[ChainId, ChainHead] = {}
    entries = wiring.store.read_ledger()
    while True:
        try:
            entry = next(entries)
        except StopIteration:
            break
        except (ValueError, KeyError) as error:
            yield Finding("ledger", "an entry", f"cannot be read: {error}")
            break
        end = ends.get(entry.chain, ChainHead(entry.chain, 0, GENESIS))
        flaw = flaw_in(entry, end.sequence + 1, end.hash)
        subject = f"{entry.chain} entry {entry.sequence}"
        if flaw:
            yield Finding("ledger", subject, flaw)
        at, known = anchors.get(str(entry.chain), (0, ""))
        if at == entry.sequence and known != entry.hash:
            yield Finding("anchor", subject, f"its hash is {entry.hash}, but the anchor says {known}")
        ends[entry.chain] = ChainHead(entry.chain, entry.sequence, entry.hash)
        try:
            told.take(entry)
        except (KeyError, TypeError) as error:
            yield Finding("ledger", subject, f"its content cannot be read: {error}")
    for chain in sorted(heads.keys() | ends.keys(), key=str):
        head, last = heads.get(chain), ends.get(chain)
        if head != last:
            shown = "nothing" if head is None else f"entry {head.sequence}, {head.hash}"
            found = "nothing" if last is None else f"entry {last.sequence}, {last.hash}"
            yield Finding("ledger", str(chain), f"its head says {shown}, but it ends with {found}")
    lengths = {str(chain): end.sequence for chain, end in ends.items()}
    for name, (at, _) in anchors.items():
        if lengths.get(name, 0) < at:
            yield Finding("anchor", name, f"it ends with entry {lengths.get(name, 0)}, but the anchor knows entry {at}")


def _runs(wiring: Wiring, told: _Told) -> Iterator[Finding]:
    stored = {run.run_id: run.status.value for run in wiring.store.list_runs(None, _EVERY)}
    yield from _compare("run", stored, told.runs, "status")


def _judgements(wiring: Wiring, told: _Told) -> Iterator[Finding]:
    evaluations: dict[str, Any] = {}
    decisions: dict[str, Any] = {}
    for run in wiring.store.list_runs(None, _EVERY):
        try:
            for evaluation in wiring.store.list_evaluations(run.run_id):
                logged = wiring.store.get_model(evaluation.model_id)
                evaluations[evaluation.evaluation_id] = _said_of(evaluation, logged)
                yield from _manifest(logged)
            for decision in wiring.store.list_decisions(run.run_id):
                decisions[decision.decision_id] = {
                    "verdict": decision.verdict.value,
                    "policy": decision.policy_name,
                    "policy_digest": decision.policy_digest,
                    "payload_digest": decision.payload_digest,
                    "data_digest": decision.data_digest,
                    "baseline_version": decision.baseline_version,
                    "alias_generation": decision.alias_generation,
                }
                if replay(decision) != (decision.verdict, decision.outcomes):
                    name = f"decision {decision.decision_id}"
                    yield Finding("replay", name, "recomputed from its own record it comes out differently")
        except (PenstockError, ValueError, KeyError, TypeError) as error:
            yield Finding("record", f"run {run.run_id}", f"its evaluations or decisions cannot be read: {error}")
    yield from _compare("evaluation", evaluations, told.evaluations, "content")
    yield from _compare("decision", decisions, told.decisions, "content")


def _said_of(evaluation: Evaluation, logged: LoggedModel) -> dict[str, Any]:
    return {
        "payload_digest": logged.payload_digest,
        "data_digest": evaluation.dataset.digest,
        "rows": evaluation.dataset.rows,
        "baseline": None if evaluation.baseline is None else evaluation.baseline.to_json(),
        CANDIDATE: overall_values(evaluation, CANDIDATE),
        BASELINE: overall_values(evaluation, BASELINE),
    }


def _registry(wiring: Wiring, told: _Told) -> Iterator[Finding]:
    versions: dict[tuple[str, int], str] = {}
    aliases: dict[tuple[str, str], tuple[int, int]] = {}
    moves: dict[tuple[str, str], int] = {}
    for model in wiring.store.list_models():
        for version in wiring.store.list_versions(model.name):
            versions[model.name, version.version] = version.payload_digest
            logged = wiring.store.get_model(version.model_id)
            yield from _manifest(logged)
            if logged.payload_digest != version.payload_digest:
                yield Finding("version", version.uri, f"its model's payload is {logged.payload_digest}")
        for name in model.aliases:
            alias = wiring.store.find_alias(model.name, name)
            if alias is not None:
                aliases[model.name, name] = (alias.version, alias.generation)
        for move in wiring.store.list_alias_moves(model.name):
            moves[model.name, move.alias] = moves.get((model.name, move.alias), 0) + 1
    yield from _compare("version", versions, told.versions, "payload")
    yield from _compare("alias", aliases, told.aliases, "(version, generation)")
    yield from _compare("alias", moves, told.moves, "number of moves")


def _manifest(logged: LoggedModel) -> Iterator[Finding]:
    found = manifest_digest(logged.files)
    if found != logged.manifest_digest:
        problem = f"its files' digest is {found}, but was {logged.manifest_digest}"
        yield Finding("manifest", logged.uri, problem)


def _bytes(wiring: Wiring) -> Iterator[Finding]:
    """Read every file of every version, and compute each version's payload again from them."""
    seen: set[str] = set()
    for model in wiring.store.list_models():
        for version in wiring.store.list_versions(model.name):
            if version.model_id not in seen:
                seen.add(version.model_id)
                yield from _payload(wiring, version)


def _payload(wiring: Wiring, version: ModelVersion) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        damaged = False
        for file in wiring.store.get_model(version.model_id).files:
            try:
                wiring.artifacts.fetch(file.sha256, Path(scratch) / file.path)
            except Corrupted as error:
                damaged = True
                yield Finding("bytes", f"{version.uri} {file.path}", str(error))
        found = "" if damaged else wiring.model_format().payload_digest(Path(scratch))
    if not damaged and found != version.payload_digest:
        yield Finding("payload", version.uri, f"its files' payload is {found}, but {version.payload_digest} was judged")


def _compare(kind: str, stored: Mapping[Any, Any], told: Mapping[Any, Any], what: str) -> Iterator[Finding]:
    for key in sorted(stored.keys() | told.keys(), key=str):
        if key not in told:
            yield Finding(kind, _named(key), "it is stored, but the ledger does not know it")
        elif key not in stored:
            yield Finding(kind, _named(key), "the ledger knows it, but it is not stored")
        elif stored[key] != told[key]:
            yield Finding(kind, _named(key), f"its {what} is {stored[key]}, but the ledger says {told[key]}")


def _named(key: Any) -> str:
    return " ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
