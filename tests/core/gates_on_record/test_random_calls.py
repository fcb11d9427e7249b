"""Random calls by several people, with time passing: no verdict moves without a cause on record."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import PenstockError
from penstock.model.audit import Actor, AuditEvent
from penstock.model.decisions import GateDecision, Verdict
from penstock.model.policies import GatePolicy
from penstock.model.versions import AuthorizationKind, ModelVersion
from penstock.stores.memory.store import MemoryStore
from tests.core.gates_on_record.stage import ALIAS, AT_LEAST, MODEL, better, loads, measured, released

PEOPLE = ("pipeline", "vera", "otto")
HOUR_MS = 3_600_000
_APPROVAL = {"approval": {"role": "owner", "expires_hours": 5, "four_eyes": True}}
_ANCHORED = {"no_worse_than": {"baseline": ALIAS, "metric": "accuracy", "margin": 0.01, "anchor": True}}
POLICIES: tuple[dict[str, Any], ...] = (
    AT_LEAST,
    {"name": "asking", "rules": [*AT_LEAST["rules"], _APPROVAL]},
    {"name": "anchored", "rules": [_ANCHORED, _APPROVAL]},
    better(budget={"alpha": 0.05, "looks": 4}),
)
BY_DIGEST = {GatePolicy.from_data(policy).digest: policy for policy in POLICIES}
# What may change what the gate says of the same evaluation under the same policy.
CAUSES = {"approval_answered", "approval_requested", "alias_moved", "anchor_set"}


class World:
    """A store in memory with a clock of its own, three people at it, and a few measured candidates."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random, self.time_ms = random.Random(seed), 1_700_000_000_000
        with penstock.connect(f"sqlite:///{folder / 'unused.db'}", actor=PEOPLE[0]) as other:
            wiring = replace(other.wiring, store=MemoryStore(self.now_ms))
        self.people = {name: penstock.Client(replace(wiring, actor=Actor("user", name))) for name in PEOPLE}
        own = self.people[PEOPLE[0]]
        champion = released(own, "first")
        accuracies = (0.7, 0.845, 0.86, 0.9)
        self.evaluations = [measured(own, f"c{a}", a, against=champion) for a in accuracies]
        self.evaluations.append(measured(own, "alone", 0.9))
        self.seen: dict[tuple[str, str], tuple[GateDecision, int]] = {}
        self.stored: dict[str, GateDecision] = {}
        self.versions: list[ModelVersion] = [champion]
        self.moved = 0

    def now_ms(self) -> int:
        self.time_ms += 1
        return self.time_ms

    def ledger(self) -> list[AuditEvent]:
        return list(self.people["vera"].read_ledger(model=MODEL))

    def call(self) -> None:
        """Do one thing, which may be refused; then check what must hold whatever was done."""
        deciding = (*[self.decide] * 4, *[self.decide_again] * 4, *[self.answer] * 6)
        others = (self.dry_run, self.release, self.override, self.anchor, self.wait, self.look_back)
        action: Callable[[penstock.Client], None] = self.random.choice((*deciding, *others))
        with suppress(PenstockError):
            action(self.people[self.random.choice(PEOPLE)])

    def decide(self, client: penstock.Client) -> None:
        evaluation, policy = self.random.choice(self.evaluations), self.random.choice(POLICIES)
        self.decide_on(client, evaluation.evaluation_id, policy)

    def decide_again(self, client: penstock.Client) -> None:
        """Ask again what was undecided: it is what may move."""
        undecided = [asked for asked, (made, _) in self.seen.items() if made.verdict is Verdict.INCONCLUSIVE]
        if undecided:
            evaluation_id, digest = self.random.choice(undecided)
            self.decide_on(client, evaluation_id, BY_DIGEST[digest])

    def decide_on(self, client: penstock.Client, evaluation_id: str, policy: dict[str, Any]) -> None:
        evaluation = client.get_evaluation(evaluation_id)
        decision = client.decide(evaluation, policy, model=MODEL)
        question = (evaluation.evaluation_id, decision.policy_digest)
        events = self.ledger()
        before = self.seen.get(question)
        if before is not None and before[0].verdict is not decision.verdict:
            since = {event.kind for event in events[before[1] :]}
            lapsed = any(found.lapsed for found in client.list_approvals(run=evaluation.run_id))
            assert "decision_made" in since, "a verdict moved without a decision on record"
            assert since & CAUSES or lapsed, f"{before[0].verdict} became {decision.verdict} for no reason on record"
            self.moved += 1
        self.seen[question] = (decision, len(events))
        if decision.verdict is Verdict.PASS and any("approval" in outcome.rule for outcome in decision.outcomes):
            self.check_approved(decision, events)
        assert self.stored.setdefault(decision.decision_id, decision) == decision

    def check_approved(self, decision: GateDecision, events: list[AuditEvent]) -> None:
        """Somebody other than its authors said yes to exactly this, in time."""
        binding, authors = decision.inputs["context"]["binding"], decision.inputs["context"]["authors"]
        yes = [
            e for e in events if e.kind == "approval_answered" and e.after == {"answer": "approve", "binding": binding}
        ]
        assert {event.actor["subject"] for event in yes} - set(authors)

    def dry_run(self, client: penstock.Client) -> None:
        decided = len(self.stored), len([e for e in self.ledger() if e.kind == "decision_made"])
        client.dry_run(self.random.choice(self.evaluations), self.random.choice(POLICIES), model=MODEL)
        assert (len(self.stored), len([e for e in self.ledger() if e.kind == "decision_made"])) == decided

    def answer(self, client: penstock.Client) -> None:
        asked = client.list_approvals(model=MODEL, state=self.random.choice(("pending", "pending", None)))
        if asked:
            found = self.random.choice(asked)
            client.answer_approval(found, self.random.random() < 0.7, "so I say")
            if self.random.random() < 0.5:
                self.decide_on(client, found.request.evaluation_id, BY_DIGEST[found.request.policy_digest])

    def release(self, client: penstock.Client) -> None:
        if self.stored and self.random.random() < 0.3:
            decision = self.random.choice(list(self.stored.values()))
            evaluation = client.get_evaluation(decision.evaluation_id)
            model = client.wiring.store.get_model(evaluation.model_id)
            version = loads(client, client.register(MODEL, model, decision))
            self.versions.append(version)
            client.promote(MODEL, ALIAS, version, decision)

    def override(self, client: penstock.Client) -> None:
        evaluation = self.random.choice(self.evaluations)
        if self.random.random() < 0.1:
            model = client.wiring.store.get_model(evaluation.model_id)
            made = client.override(MODEL, model, reason="because", expires_hours=self.random.choice((1e-7, 5)))
            version = loads(client, client.register(MODEL, model, made))
            client.promote(MODEL, ALIAS, version, made)

    def anchor(self, client: penstock.Client) -> None:
        if self.random.random() < 0.6:
            decision = self.random.choice([None, *self.stored.values()])
            version = self.random.choice(self.versions).version
            client.set_anchor(MODEL, version, reason="it is the one", decision=decision)

    def wait(self, _client: penstock.Client) -> None:
        self.time_ms += self.random.choice((1, 1, HOUR_MS, 6 * HOUR_MS))

    def look_back(self, client: penstock.Client) -> None:
        """Reading, replaying and comparing policies changes nothing."""
        before = self.ledger()
        for decision in self.stored.values():
            assert client.get_decision(decision) == decision
        client.diff_policies(POLICIES[0], POLICIES[3], of_any_policy=True)
        assert self.ledger() == before

    def check_at_the_end(self) -> None:
        client = self.people["vera"]
        decisions = list(client.wiring.store.read_decisions())
        assert all(client.replay(decision).identical for decision in decisions)
        by_id = {decision.decision_id: decision for decision in decisions}
        overrides = {made.override_id: made for made in client.list_overrides()}
        for move in client.alias_history(MODEL):
            allowed = move.authorization
            if allowed.kind is AuthorizationKind.DECISION:
                assert by_id[str(allowed.decision_id)].verdict is Verdict.PASS
            else:
                made = overrides[allowed.authorization_id]
                assert made.expires_at is not None
                assert move.moved_at is not None
                assert move.moved_at < made.expires_at
        looks = client.list_looks(MODEL)
        assert [look.sequence for look in looks] == list(range(1, len(looks) + 1))
        assert len({look.decision_id for look in looks} - {None}) == len(decisions)
        spent = [look.alpha for look in looks if look.alpha is not None]
        assert sum(spent) <= 0.05 + 1e-12
        assert list(client.verify(read_bytes=False)) == []


def _play(folder: Path, seed: int, calls: int) -> int:
    world = World(folder, seed)
    for _ in range(calls):
        world.call()
    world.check_at_the_end()
    return world.moved


def test_no_verdict_moves_without_a_cause_on_record(tmp_path: Path) -> None:
    assert sum(_play(tmp_path, seed, 80) for seed in range(5)) > 10


@pytest.mark.soak
def test_no_verdict_moves_without_a_cause_on_record_in_a_hundred_thousand_calls(tmp_path: Path) -> None:
    assert sum(_play(tmp_path, seed, 100) for seed in range(1000)) > 2_000
