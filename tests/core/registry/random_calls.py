"""Random calls on a store, most of them wrong, and an auditor that knows nothing of how the store decides.

The caller forges authorizations, names other models, aliases and versions, comes late, delivers twice, deletes what is
in use, protects and lifts, overrides, declares ungated, promotes on probation and lets probations fail. After every
call the auditor looks at what the registry holds and asks of each version and each alias move: which authorization,
given by what, for exactly this, and used for how many? It keeps its own notes of what was decided, allowed, declared.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from penstock.errors import PenstockError
from penstock.model.audit import NewEvent, model_chain
from penstock.model.canonical import digest
from penstock.model.decisions import GateDecision, Outcome, RuleOutcome, Verdict
from penstock.model.ids import derived_id
from penstock.model.load_checks import LoadCheck
from penstock.model.overrides import Override
from penstock.model.probation import ProbationJudgement, ProbationTerms
from penstock.model.protection import AliasProtection
from penstock.model.registry_state import told_of_registry
from penstock.model.statements import Statement
from penstock.model.ungated import GateDeclaration
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind, LoggedModel, ModelVersion, VersionState
from penstock.ports import MetadataStore, StepEnd
from penstock.services.gate_state import stored_of_gates, told_of_gates
from penstock.services.registry_state import stored_of_registry
from tests.contracts import samples
from tests.contracts.samples import ACTOR

MODELS, ALIASES, ACTORS = (samples.MODEL, "other"), ("champion", "challenger"), ("tester", "ana")
TERMS = ProbationTerms("later", digest({"name": "later"}), {"name": "later"}, "rules: []", 1.5, 2)
_RULE = {
    verdict: RuleOutcome({"at_least": {"metric": "roc_auc", "value": 0.8}}, outcome, "because")
    for verdict, outcome in ((Verdict.PASS, Outcome.PASSED), (Verdict.FAIL, Outcome.FAILED))
}


class Caller:
    """Makes random calls and remembers what came of them."""

    def __init__(self, store: MetadataStore, rng: random.Random) -> None:
        self.store, self.rng = store, rng
        self.models: list[LoggedModel] = [samples.trained(store, partition) for partition in "ab"]
        self.decisions: list[GateDecision] = []
        self.versions: list[ModelVersion] = []
        self.mover: dict[tuple[str, str, int], str] = {}
        self.guards: dict[tuple[str, str], AliasProtection] = {}
        self.guarded: dict[tuple[str, str, int], AliasProtection | None] = {}
        self.seen: dict[tuple[str, int], bool] = {}
        self.overrides: dict[str, Override] = {}
        self.ungated: dict[str, GateDeclaration] = {}
        self.let_in: dict[str, str] = {}
        self.failed: dict[str, int] = {}
        self.allowed, self.refused = Counter[str](), Counter[str]()
        self.audited = 0
        self.last: Callable[[], Any] | None = None

    def call(self) -> None:
        """Make one random call, and audit what it left behind."""
        moves = [self._move] * 3 + [self._roll_back] * 2 + [self._release] * 2
        others = [self._check, self._state, self._protect, self._again]
        calls = [*moves, self._decide, self._register, *others, self._override, self._ungate, self._judge, self._settle]
        chosen = self.rng.choice(calls)
        try:
            chosen()
            self.allowed[chosen.__name__] += 1
        except PenstockError:
            self.refused[chosen.__name__] += 1
        self._audit()

    # ------------------------------------------------------------------------------------------------------ calls

    def _decide(self) -> None:
        name, alias = self.rng.choice(MODELS), self.rng.choice(ALIASES)
        verdict = self.rng.choice((Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE))
        generation = self.rng.choice((0, 1, self._generation(name, alias)))
        self._decided(self.rng.choice(self.models), verdict, generation, name, alias)

    def _decided(self, model: LoggedModel, verdict: Verdict, generation: int, name: str, alias: str) -> Authorization:
        evaluation = samples.evaluation_of(model)
        decision = samples.decision_on(evaluation, verdict, generation, name, alias)
        self.store.record_evaluation(evaluation, samples.event("evaluation_recorded"), self._end(model, "judge"))
        self.store.record_decision(decision, samples.event("decision_made"), self._end(model, "judge"))
        self.decisions.append(decision)
        return samples.authorization_by(decision)

    def _release(self) -> None:
        """The whole way in one of the ways there are, right in everything but perhaps who moves it."""
        model, name, alias = self.rng.choice(self.models), self.rng.choice(MODELS), self.rng.choice(ALIASES)
        generation = self._generation(name, alias)
        kind = self.rng.choice((AuthorizationKind.DECISION, AuthorizationKind.OVERRIDE, AuthorizationKind.UNGATED))
        if kind is AuthorizationKind.DECISION:
            given = self._decided(model, Verdict.PASS, generation, name, alias)
        elif kind is AuthorizationKind.OVERRIDE:
            given = self._overridden(model, name, (alias,), 3600.0)
        else:
            given = Authorization(f"{self.rng.getrandbits(128):032x}", kind, name)
        version = self._registered(name, model, given)
        check = samples.passed_check(version, len(self.store.list_load_checks(name, version.version)) + 1)
        self.store.record_load_check(check)
        self.seen[name, version.version] = True
        if kind is AuthorizationKind.UNGATED:  # each change has its own
            given = replace(given, authorization_id=f"{self.rng.getrandbits(128):032x}")
        self._moved(version, alias, given, generation)

    def _register(self) -> None:
        given = self._authorization()
        model, name = self.rng.choice(self.models), self.rng.choice(MODELS)
        own = [made for made in self.decisions if made.decision_id == given.decision_id]
        if own and self.rng.random() < 0.7:
            name = own[0].model
            model = next(found for found in self.models if found.payload_digest == own[0].payload_digest)
        self._registered(name, model, given)
        if self.rng.random() < 0.7:
            self._check()

    def _registered(self, name: str, model: LoggedModel, given: Authorization) -> ModelVersion:
        event = _event("version_registered", name, given)
        made = self.store.record_version(name, model, given, event, self._end(model, "register"))
        self.versions.append(made)
        self._let_in(made.authorization)
        return made

    def _move(self) -> None:
        version, alias = self._version(), self.rng.choice(ALIASES)
        given = self._authorization(version)
        own = [made for made in self.decisions if made.decision_id == given.decision_id]
        if own and self.rng.random() < 0.7:
            alias = own[0].alias
        self._moved(version, alias, given, self.rng.choice((0, 1, self._generation(version.model, alias))))

    def _moved(self, version: ModelVersion, alias: str, given: Authorization, expected: int) -> None:
        actor, terms, end = self._actor(), self.rng.choice((None, None, TERMS)), self._end(self.models[0], "promote")
        event = _event("alias_moved", version.model, given, actor, alias=alias)
        self.last = lambda: self._made(self.store.move_alias(version, alias, given, expected, event, end, terms), actor)
        self.last()

    def _roll_back(self) -> None:
        version, alias, actor = self._version(), self.rng.choice(ALIASES), self._actor()
        expected = self.rng.choice((0, 1, self._generation(version.model, alias)))
        given = Authorization(
            f"{self.rng.randrange(40):032x}", AuthorizationKind.ROLLBACK, version.model, None, "x", actor
        )
        event = _event("alias_moved", version.model, given, actor, alias=alias)
        self.last = lambda: self._made(self.store.record_rollback(version, alias, given, expected, event), actor)
        self.last()

    def _check(self) -> None:
        version = self._version()
        number = len(self.store.list_load_checks(version.model, version.version)) + self.rng.choice((0, 1, 1))
        passed = self.rng.random() < 0.8
        made = self.store.record_load_check(
            LoadCheck(version.model, version.version, max(number, 1), passed, "" if passed else "broken", {}, ACTOR)
        )
        last = self.store.list_load_checks(version.model, version.version)[-1]
        assert made == last
        self.seen[version.model, version.version] = made.passed

    def _state(self) -> None:
        version, state = self._version(), self.rng.choice(tuple(VersionState))
        self.store.change_version_state(version.model, version.version, state, "x", ACTOR)

    def _protect(self) -> None:
        name, alias, actor = self.rng.choice(MODELS), self.rng.choice(ALIASES), self._actor()
        held = [found for found in self.store.list_protections(name) if found.alias == alias]
        actors = tuple(self.rng.sample(ACTORS, self.rng.randrange(3)))
        lifted = self.rng.random() < 0.5
        new = AliasProtection(name, alias, len(held) + self.rng.choice((0, 1)), actors, lifted, "x", actor)
        self.guards[name, alias] = self.store.record_protection(new)

    def _override(self) -> None:
        aliases = tuple(self.rng.sample(ALIASES, self.rng.randrange(3)))
        seconds = self.rng.choice((3600.0, 3600.0, -1.0))
        self._overridden(self.rng.choice(self.models), self.rng.choice(MODELS), aliases, seconds)

    def _overridden(self, model: LoggedModel, name: str, aliases: tuple[str, ...], expires_s: float) -> Authorization:
        given, actor, now = f"{self.rng.getrandbits(128):032x}", self._actor(), dict.fromkeys(aliases, 0)
        new = Override(given, name, model.payload_digest, now, "x", actor, expires_s, model.run_id)
        allowed = Authorization(given, AuthorizationKind.OVERRIDE, name, None, "x", actor)
        after = {"payload_digest": model.payload_digest, "aliases": now, "hours": expires_s / 3600}
        self.store.record_override(new, replace(_event("override_given", name, allowed, actor), after=after, why="x"))
        self.overrides[given] = new
        return allowed

    def _ungate(self) -> None:
        name = self.rng.choice(MODELS)
        there = self.store.list_gate_declarations(name)
        gated = self.rng.random() < 0.3
        new = GateDeclaration(name, len(there) + self.rng.choice((0, 1)), gated, "x", self._actor())
        self.ungated[name] = self.store.declare_gating(new)

    def _judge(self) -> None:
        """A later evaluation of some promotion on probation; one that fails takes the alias back."""
        begun = self.store.list_probations(None)
        if not begun:
            return
        found, model, actor = self.rng.choice(begun), self.rng.choice(self.models), self._actor()
        evaluation = samples.evaluation_of(model, replace(samples.held_out(), digest=f"{self.rng.randrange(6):064x}"))
        self.store.record_evaluation(evaluation, samples.event("evaluation_recorded"), self._end(model, "later"))
        verdict, key = self.rng.choice((Verdict.PASS, Verdict.FAIL)), (found.model, found.alias, found.generation)
        given = derived_id("rollback", *key)
        back = Authorization(given, AuthorizationKind.ROLLBACK, found.model, None, "failed", actor)
        event = _event("alias_moved", found.model, back, actor, alias=found.alias)
        self.failed[given] = found.generation
        judgement = ProbationJudgement(*key, evaluation.evaluation_id, verdict, (_RULE[verdict],), actor)
        before = self.store.find_alias(found.model, found.alias)
        self.store.record_probation_judgement(judgement, (back, event) if verdict is Verdict.FAIL else None)
        after = self.store.find_alias(found.model, found.alias)
        if after != before:
            self._made(self.store.list_alias_moves(found.model, found.alias)[-1], actor)

    def _settle(self) -> None:
        self.store.settle_probations(ACTOR)

    def _again(self) -> None:
        if self.last is not None:
            self.last()

    # -------------------------------------------------------------------------------------------------- arguments

    def _end(self, model: LoggedModel, step: str) -> StepEnd:
        return samples.done(samples.begun(self.store, model.run_id, step, self.rng.random()))

    def _generation(self, name: str, alias: str) -> int:
        live = self.store.find_alias(name, alias)
        return 0 if live is None else live.generation

    def _version(self) -> ModelVersion:
        if not self.versions or self.rng.random() < 0.05:
            return ModelVersion(self.rng.choice(MODELS), 9, self.models[0].model_id, "", "", self._authorization())
        found = self.rng.choice(self.versions)
        return replace(found, payload_digest="f" * 64) if self.rng.random() < 0.05 else found

    def _authorization(self, version: ModelVersion | None = None) -> Authorization:
        if version is not None and self.rng.random() < 0.5:
            return version.authorization
        if self.overrides and self.rng.random() < 0.2:
            given, kind = self.rng.choice(list(self.overrides)), AuthorizationKind.OVERRIDE
            return Authorization(given, kind, self.rng.choice(MODELS))
        if self.rng.random() < 0.2:
            number = f"{self.rng.choice((self.rng.getrandbits(64), self.rng.randrange(40))):032x}"
            return Authorization(number, AuthorizationKind.UNGATED, self.rng.choice(MODELS))
        if not self.decisions or self.rng.random() < 0.1:
            kinds = (AuthorizationKind.DECISION, AuthorizationKind.IMPORT, AuthorizationKind.ROLLBACK)
            return Authorization("e" * 32, self.rng.choice(kinds), self.rng.choice(MODELS), "d" * 32)
        by_decision = samples.authorization_by(self.rng.choice(self.decisions))
        return replace(by_decision, model=self.rng.choice(MODELS)) if self.rng.random() < 0.2 else by_decision

    def _actor(self) -> dict[str, Any]:
        return {**ACTOR, "subject": self.rng.choice(ACTORS)}

    def _made(self, move: AliasMove, actor: dict[str, Any]) -> None:
        key = (move.model, move.alias, move.generation)
        if key not in self.mover:
            self.mover[key] = actor["subject"]
            self.guarded[key] = self.guards.get((move.model, move.alias))
            self._let_in(move.authorization)
            assert self.seen.get((move.model, move.to_version)), f"{key}: it was not seen to load when it moved"

    def _let_in(self, given: Authorization) -> None:
        """Of the first change under an ungated model's authorization: the model was ungated when it was made."""
        if given.kind is AuthorizationKind.UNGATED and given.authorization_id not in self.let_in:
            held = self.ungated.get(given.model)
            assert held is not None
            assert not held.gated, f"{given} for a gated model"
            self.let_in[given.authorization_id] = given.model

    # ---------------------------------------------------------------------------------------------------- auditing

    def _audit(self) -> None:
        for name in MODELS:
            versions = {version.version: version for version in self.store.list_versions(name)}
            assert sorted(versions) == list(range(1, len(versions) + 1))
            under = [version.authorization.authorization_id for version in versions.values()]
            assert len(set(under)) == len(under), "an authorization registered twice"
            for version in versions.values():
                self._audit_given(version.authorization, name, version.payload_digest, None)
            moves = self.store.list_alias_moves(name)
            for alias in ALIASES:
                self._audit_alias(name, alias, [move for move in moves if move.alias == alias], versions)

    def _audit_alias(self, name: str, alias: str, moves: list[AliasMove], versions: dict[int, ModelVersion]) -> None:
        live = self.store.find_alias(name, alias)
        assert [move.generation for move in moves] == list(range(1, len(moves) + 1))
        assert (None if live is None else live.version) == (moves[-1].to_version if moves else None)
        under = [move.authorization.authorization_id for move in moves]
        assert len(set(under)) == len(under), "an authorization moved the same alias twice"
        befores = [None, *(move.to_version for move in moves)]
        for before, move in zip(befores, moves, strict=False):
            assert move.from_version == before
            self._audit_move(move, versions[move.to_version], {one.to_version for one in moves[: move.generation - 1]})
        if live is not None:
            assert versions[live.version].state is VersionState.ACTIVE

    def _audit_move(self, move: AliasMove, version: ModelVersion, held: set[int]) -> None:
        self.audited += 1
        key = (move.model, move.alias, move.generation)
        guard, given = self.guarded[key], move.authorization
        assert move.actor["subject"] == self.mover[key]
        if guard is not None and not guard.lifted:
            assert given.kind in {AuthorizationKind.DECISION, AuthorizationKind.ROLLBACK}
            assert not guard.actors or self.mover[key] in guard.actors
        if given.kind is AuthorizationKind.ROLLBACK:
            assert move.to_version in held
            if given.authorization_id in self.failed:
                assert move.generation == self.failed[given.authorization_id] + 1, "it went past a newer move"
            return
        self._audit_given(given, move.model, version.payload_digest, move.alias)

    def _audit_given(self, given: Authorization, model: str, payload: str, alias: str | None) -> None:
        """It was given for exactly this, by what it says: a passed decision, a person's override, a declaration."""
        if given.kind is AuthorizationKind.UNGATED:
            assert self.let_in[given.authorization_id] == model
        elif given.kind is AuthorizationKind.OVERRIDE:
            override = self.overrides[given.authorization_id]
            assert override.expires_s > 0
            assert (override.model, override.payload_digest) == (model, payload)
            assert alias is None or alias in override.aliases
        else:
            assert given.kind is AuthorizationKind.DECISION
            decision = next(made for made in self.decisions if made.decision_id == given.decision_id)
            assert decision.verdict is Verdict.PASS
            assert (decision.model, decision.payload_digest) == (model, payload)
            assert alias is None or decision.alias == alias


def _event(kind: str, model: str, given: Authorization, actor: dict[str, Any] = ACTOR, **subject: str) -> NewEvent:
    """An entry that names what allowed the change, as the services write it."""
    name = {
        AuthorizationKind.OVERRIDE: "override_id",
        AuthorizationKind.UNGATED: "ungated",
        AuthorizationKind.ROLLBACK: "rollback",
    }.get(given.kind, "decision_id")
    named = {name: given.decision_id or given.authorization_id}
    return NewEvent(model_chain(model), kind, {**subject, **named}, actor, why="because")


def ways(store: MetadataStore) -> Counter[str]:
    """How many moves each kind of authorization has allowed."""
    return Counter(move.authorization.kind.value for name in MODELS for move in store.list_alias_moves(name))


def rebuilt(store: MetadataStore) -> Iterator[Statement]:
    """What the ledger alone says of the registry and of what let models into it."""
    for entry in store.read_ledger():
        if entry.chain.kind == "model":
            yield from (*told_of_registry(entry), *told_of_gates(entry))


def last_said(statements: Iterable[Statement]) -> dict[tuple[object, ...], object]:
    """What holds in the end: the later of two statements about the same."""
    return {(said.kind, said.what, said.key): said.said for said in statements}


def play(store: MetadataStore, seed: int, calls: int) -> Caller:
    """Make `calls` random calls on an empty store, then compare it with what its ledger says."""
    caller = Caller(store, random.Random(seed))
    for _ in range(calls):
        caller.call()
    stored = (*stored_of_registry(store), *stored_of_gates(store))
    assert last_said(rebuilt(store)) == last_said(stored)
    return caller
