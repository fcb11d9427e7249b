"""Stages, for those who still use them: entering one is a promotion under the same gate; archiving is a state."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.errors import Conflict, InvalidValue
from penstock.model import guarding
from penstock.model.ids import check_model_name
from penstock.model.stages import Stage, stage_named, stage_of
from penstock.model.versions import ModelVersion, VersionState
from penstock.services import deletion, registry
from penstock.services.wiring import Wiring

_log = logging.getLogger(__name__)
HINT = "Stages are kept for those who know them; aliases say the same in names of your own, such as champion"


def transition(
    wiring: Wiring, name: str, version: object, stage: object, decision: object = None, *, reason: str = "", **how: Any
) -> Stage:
    """Bring a version into a stage and return it.

    Production and Staging need a passed decision for the alias of that name; what was there before is Archived by that
    alone. Archived and None need a reason, and no alias that points to the version.
    """
    wanted = stage_named(stage)
    target = version if isinstance(version, ModelVersion) else registry.get_version(wiring, version, name)
    _log.info(HINT)
    if wanted.is_alias:
        if decision is None:
            hint = f"Decide for it: client.decide(evaluation, policy, model={name!r}, alias={wanted.value!r})"
            raise InvalidValue("decision", decision, f"a passed decision to bring a version into {wanted.value}", hint)
        registry.promote(wiring, name, wanted.value, target, decision, **how)
    else:
        if wanted is Stage.NONE:
            _check_may_leave(get_stages(wiring, name).get(target.version), target)
        state = VersionState.ARCHIVED if wanted is Stage.ARCHIVED else VersionState.ACTIVE
        deletion.change_version_state(wiring, target, state, reason)
    return get_stages(wiring, name)[target.version]


def _check_may_leave(stage: Stage | None, version: ModelVersion) -> None:
    """`Conflict` where a version cannot come to None: it is live, or it was and another has taken its place."""
    if stage is not None and stage.is_alias:
        raise guarding.in_use_by_alias(version.uri, stage.value)
    if stage is Stage.ARCHIVED and version.state is VersionState.ACTIVE:
        found = "one in whose place another version came"
        hint = "That stays on record. It is active, and may be promoted again by a decision, or taken back to"
        raise Conflict("stage of", version.uri, "one that somebody has archived", found, hint)


def get_stages(wiring: Wiring, name: str) -> Mapping[int, Stage]:
    """Return the stage of every version of a model that is not deleted, by number."""
    versions: Sequence[ModelVersion] = wiring.store.list_versions(check_model_name(name))
    moves = wiring.store.list_alias_moves(name)
    return {v.version: stage_of(v, moves) for v in reversed(versions) if v.state is not VersionState.DELETED}
