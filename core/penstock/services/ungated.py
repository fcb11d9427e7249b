"""Models without a gate: declared so by a named person with a reason, which is itself an authorization (law L2)."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.errors import Conflict, NotSeenToLoad
from penstock.model.approvals import check_reason
from penstock.model.audit import NewEvent, model_chain
from penstock.model.ids import check_alias_name, check_model_name, check_step_name, derived_id
from penstock.model.probation import ProbationTerms
from penstock.model.runs import StepId
from penstock.model.ungated import GateDeclaration
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, ModelVersion
from penstock.ports import MetadataStore, NewAttempt
from penstock.services import model_access
from penstock.services.load_check import ensure_loads
from penstock.services.once import in_one, new_attempt
from penstock.services.references import check_belongs, model_uri_in
from penstock.services.stand_ins import check_registrable
from penstock.services.wiring import Wiring


def declare(wiring: Wiring, name: str, *, gated: bool, reason: str) -> GateDeclaration:
    """Declare a model ungated, or gated again; what holds already is returned. `Conflict` if somebody was quicker."""
    check_model_name(name)
    said = check_reason(reason, "why the model is let in without a gate, or no longer, in words")
    held = find(wiring.store, name)
    if held is not None and held.gated is gated:
        return held
    if held is None and gated:
        raise Conflict("model", name, "one that was declared ungated", "a gated one, as models are by default")
    number = 1 if held is None else held.number + 1
    return wiring.store.declare_gating(GateDeclaration(name, number, gated, said, wiring.actor.to_json()))


def find(store: MetadataStore, name: str) -> GateDeclaration | None:
    """Return the declaration that holds for a model; None if there never was one."""
    return next(iter(store.list_gate_declarations(name)[-1:]), None)


def register(
    wiring: Wiring,
    name: str,
    model: object,
    *,
    run: object = None,
    accept_from: Sequence[str] = (),
    step: str,
    map_index: int = -1,
) -> ModelVersion:
    """Register a logged model of an ungated model; the same one again returns the version it became."""
    check_model_name(name)
    uri = model_uri_in(model)
    logged = model_access.find(wiring.store, uri).logged
    check_registrable(logged, uri)
    check_belongs(wiring.store, "model", logged.uri, logged.run_id, run, accept_from)
    given = derived_id("ungated version", name, logged.model_id)
    new = new_attempt(
        wiring, StepId(logged.run_id, check_step_name(step), map_index), {"ungated": name, "model": logged.model_id}
    )
    held = find(wiring.store, name)
    subject = {"model": name, "run_id": logged.run_id, "ungated": given}
    event = NewEvent(
        model_chain(name), "version_registered", subject, wiring.actor.to_json(), "" if held is None else held.reason
    )
    authorization = _authorization(given, name)
    return in_one(wiring, new, lambda step: wiring.store.record_version(name, logged, authorization, event, step))


def promote(
    wiring: Wiring,
    version: ModelVersion,
    alias: str,
    *,
    step: str,
    map_index: int = -1,
    probation: ProbationTerms | None = None,
) -> AliasMove:
    """Point an alias of an ungated model to a version, from where it points now: once for each version.

    The same again returns the move it made, whatever came after it; to go back to a version there is `rollback`.
    """
    name = version.model
    check_alias_name(alias)
    held = find(wiring.store, name)
    given = derived_id("ungated move", name, alias, version.version)
    declared = {"ungated": name, "alias": alias, "version": version.version}
    new = new_attempt(wiring, StepId(version.run_id, check_step_name(step), map_index), declared)
    subject = {"model": name, "alias": alias, "ungated": given}
    event = NewEvent(
        model_chain(name), "alias_moved", subject, wiring.actor.to_json(), "" if held is None else held.reason
    )
    current = wiring.store.find_alias(name, alias)
    expected = 0 if current is None else current.generation

    def move(step: NewAttempt) -> AliasMove:
        call = (version, alias, _authorization(given, name), expected, event, step, probation)
        try:
            return wiring.store.move_alias(*call)
        except NotSeenToLoad:  # the last thing a store looks at: all else is in order
            ensure_loads(wiring, version)
            return wiring.store.move_alias(*call)

    return in_one(wiring, new, move)


def _authorization(given: str, name: str) -> Authorization:
    # In whose name and why is the store's to say: it reads the declaration.
    return Authorization(given, AuthorizationKind.UNGATED, name)
