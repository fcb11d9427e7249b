"""From what a person types to a whole id: the id, its first characters, or EXPERIMENT@PARTITION for a run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from penstock.client import Client
from penstock.errors import InvalidValue, NotFound
from penstock.model.runs import Run

_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{6,31}")
_EVERY_RUN = 10_000_000


def find_run(client: Client, given: str) -> str:
    """Return the id of the run that `given` names."""
    if _ID.fullmatch(given):
        return given
    experiment, at, partition = given.partition("@")
    if at:
        return _run_of(client.list_runs(experiment, _EVERY_RUN), given, experiment, partition)
    if not _PREFIX.fullmatch(given):
        raise InvalidValue("run", given, "a run id, at least its first 6 characters, or EXPERIMENT@PARTITION")
    return _only("run", given, (run.run_id for run in client.list_runs(None, _EVERY_RUN)), "penstock runs list")


def find_decision(client: Client, given: str) -> str:
    """Return the id of the decision that `given` names."""
    return _find_in_ledger(client, "decision", "decision_made", given)


def find_evaluation(client: Client, given: str) -> str:
    """Return the id of the evaluation that `given` names."""
    return _find_in_ledger(client, "evaluation", "evaluation_recorded", given)


def find_approval(client: Client, given: str) -> str:
    """Return the id of the approval request that `given` names."""
    if _ID.fullmatch(given):
        return given
    if not _PREFIX.fullmatch(given):
        raise InvalidValue("approval request", given, "its id, or at least its first 6 characters")
    ids = (approval.request.request_id for approval in client.list_approvals())
    return _only("approval request", given, ids, "penstock approvals list")


def find_override(client: Client, given: str) -> str:
    """Return the id of the override that `given` names."""
    if _ID.fullmatch(given):
        return given
    if not _PREFIX.fullmatch(given):
        raise InvalidValue("override", given, "its id, or at least its first 6 characters")
    return _only("override", given, (made.override_id for made in client.list_overrides()), "penstock gate overrides")


def find_allowance(client: Client, name: str, decision: str | None, override: str | None) -> dict[str, str] | None:
    """Return a reference to what is to allow a change: the decision or the override that was named, one of them.

    None where neither was named and model NAME is ungated.
    """
    if decision is None and override is None and name in client.ungated_models():
        return None
    if decision is not None and override is None:
        return {"decision_id": find_decision(client, decision)}
    if override is not None and decision is None:
        return {"override_id": find_override(client, override)}
    given = "both" if decision is not None else "neither"
    hint = "A passed decision allows a change; an override is a named person's exception"
    raise InvalidValue("--decision or --override", given, "one of the two", hint)


def _find_in_ledger(client: Client, kind: str, event: str, given: str) -> str:
    if _ID.fullmatch(given):
        return given
    if not _PREFIX.fullmatch(given):
        raise InvalidValue(kind, given, f"the id of a {kind}, or at least its first 6 characters")
    field = f"{kind}_id"
    ids = (str(entry.subject[field]) for entry in client.read_ledger() if entry.kind == event)
    return _only(kind, given, ids, "penstock runs show RUN")


def _only(kind: str, given: str, ids: Iterable[str], listing: str) -> str:
    found = sorted({identifier for identifier in ids if identifier.startswith(given)})
    if not found:
        raise NotFound(kind, given, f"'{listing}' shows the {kind}s there are")
    if len(found) > 1:
        raise InvalidValue(
            kind, given, f"the beginning of one id, not of {len(found)}", f"Found {', '.join(found[:5])}"
        )
    return found[0]


def _run_of(runs: Iterable[Run], given: str, experiment: str, partition: str) -> str:
    there = list(runs)
    found = [run for run in there if run.key.partition == partition]
    if not found:
        known = ", ".join(sorted({run.key.partition for run in there})[:10])
        hint = f"Its partitions: {known}" if there else f"There is no run of experiment {experiment!r}"
        raise NotFound("run", given, hint)
    if len(found) > 1:
        ids = ", ".join(run.run_id for run in found)
        raise InvalidValue("run", given, "one run, but several pipelines have this partition", f"Their ids: {ids}")
    return found[0].run_id
