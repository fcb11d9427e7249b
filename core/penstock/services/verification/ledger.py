"""Whether every chain of the ledger holds together, and what its entries say of the present."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.errors import InvalidValue
from penstock.model.audit import GENESIS, AuditEvent, ChainHead, ChainId, flaw_in
from penstock.model.registry_state import told_of_registry
from penstock.model.runs import RunStatus
from penstock.model.statements import Statement
from penstock.ports import MetadataStore
from penstock.services.gate_state import told_of_gates
from penstock.services.verification.account import Account
from penstock.services.verification.finding import Finding

Anchors = Mapping[str, tuple[int, str]]
"""The number and hash of each chain's last entry, as it was when the anchor was written."""

_STAGES = {"run_deleted": "deleted", "run_restored": None, "run_purged": "purged"}  # None: active, as every run begins
_MODEL_STAGES = {"model_deleted": "deleted", "model_restored": None, "model_purged": "purged"}


def anchors_in(anchored: Mapping[str, Any] | None) -> Anchors:
    """Read an anchor; `InvalidValue` for what is none."""
    if anchored is None:
        return {}
    try:
        return {name: (int(end["sequence"]), str(end["hash"])) for name, end in anchored["chains"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidValue("anchor", anchored, "what 'penstock db anchor' wrote") from error


def told(entry: AuditEvent) -> Iterator[Statement]:
    """Yield what an entry says of the present."""
    subject, after = entry.subject, entry.after
    if entry.kind in {"run_opened", "run_reopened"}:
        yield Statement("run", "status", subject["run_id"], RunStatus.RUNNING.value)
    elif entry.kind == "run_ended":
        yield Statement("run", "status", subject["run_id"], after)
    elif entry.kind in _STAGES:
        yield Statement("run", "stage", subject["run_id"], _STAGES[entry.kind])
    elif entry.kind in _MODEL_STAGES:
        yield Statement("logged model", "stage", subject["model_id"], _MODEL_STAGES[entry.kind])
    elif entry.kind == "evaluation_recorded":
        yield Statement("evaluation", "content", subject["evaluation_id"], after)
    elif entry.kind == "decision_made":
        yield Statement("decision", "content", subject["decision_id"], after)
    elif entry.kind in {"retention_set", "retention_removed"}:
        yield Statement("retention policy", "terms", (subject["experiment"], subject["model"]), after)
    else:
        yield from told_of_registry(entry)
        yield from told_of_gates(entry)


def read_ledger(store: MetadataStore, account: Account, anchors: Anchors) -> Iterator[Finding]:
    """Tell the account what the ledger says, yielding what its chains do not hold together."""
    heads = {head.chain: head for head in store.list_chain_heads()}
    passed: set[ChainId] = set()
    ends: dict[ChainId, ChainHead] = {}
    entries, end, head = store.read_ledger(), None, None
    while True:
        try:
            entry = next(entries)
        except StopIteration:
            break
        except (ValueError, KeyError) as error:
            yield Finding("ledger", "an entry", f"cannot be read: {error}")
            break
        if end is None or entry.chain != end.chain:
            end = ends.get(entry.chain, ChainHead(entry.chain, 0, GENESIS))
            head = heads.get(entry.chain)
        yield from _flaws(entry, end, anchors)
        end = ends[entry.chain] = ChainHead(entry.chain, entry.sequence, entry.hash)
        if end == head:
            passed.add(entry.chain)
        try:
            account.tell(list(told(entry)))
        except (KeyError, TypeError, InvalidValue) as error:
            yield Finding("ledger", _named(entry), f"its content cannot be read: {error}")
    now = {head.chain: head for head in store.list_chain_heads()}
    for chain in sorted(heads.keys() | ends.keys(), key=str):
        head, last = heads.get(chain), ends.get(chain)
        # Others may go on writing: a chain that led through the head it had, and has grown since, is whole.
        grown = now.get(chain) != head and (head is None or chain in passed)
        if head != last and not grown:
            shown = "nothing" if head is None else f"entry {head.sequence}, {head.hash}"
            found = "nothing" if last is None else f"entry {last.sequence}, {last.hash}"
            yield Finding("ledger", str(chain), f"its head says {shown}, but it ends with {found}")
    lengths = {str(chain): end.sequence for chain, end in ends.items()}
    for name, (at, _) in anchors.items():
        if lengths.get(name, 0) < at:
            yield Finding("anchor", name, f"it ends with entry {lengths.get(name, 0)}, but the anchor knows entry {at}")


def _flaws(entry: AuditEvent, end: ChainHead, anchors: Anchors) -> Iterator[Finding]:
    flaw = flaw_in(entry, end.sequence + 1, end.hash)
    if flaw:
        yield Finding("ledger", _named(entry), flaw)
    at, known = anchors.get(str(entry.chain), (0, "")) if anchors else (0, "")
    if at == entry.sequence and known != entry.hash:
        yield Finding("anchor", _named(entry), f"its hash is {entry.hash}, but the anchor says {known}")


def _named(entry: AuditEvent) -> str:
    return f"{entry.chain} entry {entry.sequence}"
