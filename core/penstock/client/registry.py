"""Registered models: versions, aliases, loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.client.base import OnWiring
from penstock.model.versions import AliasMove, ModelVersion, RegisteredModel, VersionState
from penstock.ports import Predictor

if TYPE_CHECKING:
    from penstock.model.policies import GatePolicy
    from penstock.model.probation import Probation, ProbationTerms


class Registry(OnWiring):
    """Registered models: versions, aliases, loading."""

    def register(
        self,
        name: str,
        model: object,
        decision: object = None,
        *,
        run: object = None,
        accept_from: Sequence[str] = (),
        step: str = "register",
        map_index: int = -1,
        policy: Any = None,
    ) -> ModelVersion:
        """Register a model under the next version number; needs a passed decision that judged exactly it.

        Without one the model must have been declared ungated (`declare_ungated`). A `policy` is the one in force: a
        decision that was made under another is refused.
        """
        from penstock.services import registry

        return registry.register(
            self.wiring,
            name,
            model,
            decision,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
            policy=_in_force(policy),
        )

    def promote(
        self,
        name: str,
        alias: str,
        version: object,
        decision: object = None,
        *,
        run: object = None,
        accept_from: Sequence[str] = (),
        step: str = "promote",
        map_index: int = -1,
        probation: Probation | None = None,
        policy: Any = None,
    ) -> AliasMove:
        """Point an alias to a version, expecting the generation the decision saw; `Conflict` if another has won.

        With `probation` it goes back by itself if a later evaluation fails, see `judge_probation`. Without a decision
        the model must have been declared ungated. A `policy` is the one in force, as for `register`.
        """
        from penstock.services import registry

        return registry.promote(
            self.wiring,
            name,
            alias,
            version,
            decision,
            run=run,
            accept_from=accept_from,
            step=step,
            map_index=map_index,
            probation=None if probation is None else self._terms(probation),
            policy=_in_force(policy),
        )

    def _terms(self, probation: Probation) -> ProbationTerms:
        from penstock.policies.loading import load_policy
        from penstock.services.probation import terms_of

        return terms_of(probation, load_policy(probation.policy))

    def rollback(
        self, name: str, alias: str, *, to: int | None = None, reason: str, key: str | None = None
    ) -> AliasMove:
        """Point an alias back to the version it pointed to before, or to version `to` that held it before; on record.

        Needs the database only. With `key` the rollback happens once: the same key again returns the move it made.
        """
        from penstock.services.rollback import rollback

        return rollback(self.wiring, name, alias, to=to, reason=reason, key=key)

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Return a registered version; `NotFound` if there is none."""
        from penstock.services import registry

        return registry.get_version(self.wiring, version, name)

    def get_latest_version(self, name: str) -> ModelVersion:
        """Return the version that `models:/name/latest` is; `NotFound` if there is none."""
        from penstock.services import model_access

        return model_access.find_latest(self.wiring.store, name)

    def get_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version an alias points to; `NotFound` says what there is instead."""
        from penstock.services import model_access

        return model_access.find_by_alias(self.wiring.store, name, alias)

    def list_models(self) -> Sequence[RegisteredModel]:
        """Return the registered models by name, with where their aliases point."""
        return self.wiring.store.list_models()

    def list_versions(self, name: str, *, deleted: bool = False) -> Sequence[ModelVersion]:
        """Return a model's versions, newest first; with `deleted` also those that were deleted."""
        found = self.wiring.store.list_versions(name)
        return [version for version in found if deleted or version.state is not VersionState.DELETED]

    def alias_history(self, name: str, *, alias: str | None = None, limit: int | None = None) -> Sequence[AliasMove]:
        """Return the moves of a model's aliases, or of one, oldest first, with what authorized each.

        With `limit` the last ones only.
        """
        return self.wiring.store.list_alias_moves(name, alias, limit)

    def count_alias_moves(self, name: str, alias: str | None = None) -> int:
        """Return how often a model's aliases have moved, or one of them."""
        of = [alias] if alias is not None else [a for m in self.list_models() if m.name == name for a in m.aliases]
        return sum(found.generation for one in of if (found := self.wiring.store.find_alias(name, one)) is not None)

    def load_model(self, uri: str, *, trusted_types: Sequence[str] | None = None) -> Predictor:
        """Load a model by URI or folder; every checksum is verified first, and code-executing formats are refused."""
        from penstock.services import model_access

        return model_access.load(self.wiring, uri, trusted_types)


def _in_force(policy: Any) -> GatePolicy | None:
    from penstock.policies.loading import load_policy

    return None if policy is None else load_policy(policy)
