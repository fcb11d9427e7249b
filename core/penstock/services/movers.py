"""Who made a move of an alias: the attempt, with where it ran, and not only the actor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.model.canonical import digest
from penstock.model.runs import StepSummary
from penstock.services.wiring import Wiring


def find_mover(wiring: Wiring, event: Mapping[str, Any]) -> StepSummary | None:
    """Return the attempt that made the move of which `event`, an `alias_moved`, tells; None if no step made it.

    An authorization moves an alias once, so the first attempt that is done with it as its declared input is the one:
    whatever its step is called, and whatever that step has done since. Rollbacks are no step's.
    """
    subject, version = event["subject"], (event["after"] or {}).get("version")
    model, moved = subject["model"], {"alias": subject["alias"], "version": version}
    declared: dict[str, Any]
    if subject.get("decision_id"):
        run_id = wiring.store.get_decision(subject["decision_id"]).run_id
        declared = {"decision": subject["decision_id"], "model": model, **moved}
    else:
        found = wiring.store.find_version(model, version) if version is not None else None
        if found is None:
            return None
        run_id = found.run_id
        if subject.get("override_id"):
            declared = {"override": subject["override_id"], "model": model, **moved}
        elif subject.get("ungated"):
            declared = {"ungated": model, **moved}
        else:
            return None
    return next(iter(wiring.store.list_done(run_id, digest(declared))), None)
