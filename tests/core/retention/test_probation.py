"""A promotion on probation: later evaluations confirm it or take it back, once, on record, never past a newer move."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.errors import InvalidPolicy, InvalidValue, NotFound
from penstock.model.decisions import Verdict
from penstock.model.evaluations import Evaluation
from penstock.model.probation import Probation, ProbationState
from tests import tiny
from tests.core.retention.stage import Stage
from tests.scenarios.killing import killed_at

HOLDS = {"name": "holds", "rules": [{"at_least": {"metric": "roc_auc", "value": 0.5}}]}
FAILS = {"name": "fails", "rules": [{"at_least": {"metric": "roc_auc", "value": 1.0}}]}
UNSURE = {"name": "unsure", "rules": [{"no_worse_than": {"baseline": "champion", "metric": "roc_auc", "margin": 0.1}}]}
LENIENT = {"name": "lenient", "rules": [{"at_least": {"metric": "roc_auc", "value": 0.5}}]}


@pytest.fixture
def held_out(stage: Stage) -> str:
    return tiny.held_out_file(stage.folder)


def promoted(stage: Stage, held_out: str, key: str, probation: Probation | None, strength: float = 1.0) -> Any:
    client = stage.client
    with client.open_run(tiny.EXPERIMENT, key=key) as run:
        model = run.step("train", tiny.train, strength=strength)
        evaluation = client.evaluate(model, held_out, label=tiny.LABEL, run=run)
        decision = client.decide(evaluation, LENIENT, model=tiny.MODEL, run=run)
        version = client.register(tiny.MODEL, model, decision, run=run)
        return client.promote(tiny.MODEL, "champion", version, decision, run=run, probation=probation)


def later(stage: Stage, month: int) -> Evaluation:
    """An evaluation of what is live, on labels that have come since."""
    path = stage.folder / f"later-{month}.parquet"
    tiny.rows().iloc[month::5].to_parquet(path)
    return stage.client.evaluate(tiny.CHAMPION, str(path), label=tiny.LABEL, step=f"later-{month}")


def live(stage: Stage) -> int:
    return stage.client.get_version_by_alias(tiny.MODEL, "champion").version


def told(stage: Stage) -> list[str]:
    return [e.kind for e in stage.client.read_ledger() if e.kind.startswith("probation") or e.kind == "alias_moved"]


def test_a_failing_evaluation_takes_the_alias_back_once_and_on_record(stage: Stage, held_out: str) -> None:
    promoted(stage, held_out, "a", None)
    promoted(stage, held_out, "b", Probation(FAILS, days=14), strength=0.5)
    evaluation = later(stage, 1)
    dry = stage.client.judge_probation(tiny.MODEL, "champion", evaluation, backfill=True)
    assert (dry.verdict, dry.number, live(stage)) == (Verdict.FAIL, 0, 2)
    assert told(stage) == ["alias_moved", "alias_moved", "probation_started"]
    made = stage.client.judge_probation(tiny.MODEL, "champion", evaluation)
    assert (made.verdict, made.state, made.rolled_back_to) == (Verdict.FAIL, ProbationState.FAILED, 1)
    assert live(stage) == 1
    assert stage.client.judge_probation(tiny.MODEL, "champion", evaluation.ref) == made
    assert told(stage)[3:] == ["probation_judged", "alias_moved", "probation_ended"]
    back = stage.client.alias_history(tiny.MODEL)[-1]
    assert (back.authorization.kind.value, back.to_version) == ("rollback", 1)
    assert "failed its probation: roc_auc" in back.authorization.reason
    (probation,) = stage.client.list_probations(tiny.MODEL)
    assert (probation.state, probation.terms.policy_name) == (ProbationState.FAILED, "fails")
    assert probation.ended_at is not None
    assert list(stage.client.probation_judgements(probation)) == [made]
    assert list(stage.client.verify()) == []


def test_what_was_live_already_and_fails_goes_back_to_what_was_live_before_it(stage: Stage, held_out: str) -> None:
    first = promoted(stage, held_out, "a", None)
    promoted(stage, held_out, "b", None, strength=0.5)
    decision = stage.client.decide(later(stage, 2), LENIENT, model=tiny.MODEL, step="decide again")
    terms = Probation(FAILS, days=14)
    again = stage.client.promote(tiny.MODEL, "champion", 2, decision, step="promote again", probation=terms)
    assert (again.from_version, again.to_version) == (2, 2)
    made = stage.client.judge_probation(tiny.MODEL, "champion", later(stage, 1))
    assert (made.state, made.rolled_back_to, live(stage)) == (ProbationState.FAILED, first.to_version, 1)
    assert list(stage.client.verify()) == []


def test_a_first_version_that_fails_stays_where_there_is_nothing_to_go_back_to(stage: Stage, held_out: str) -> None:
    promoted(stage, held_out, "a", Probation(FAILS, days=14))
    made = stage.client.judge_probation(tiny.MODEL, "champion", later(stage, 1))
    assert (made.state, made.rolled_back_to, live(stage)) == (ProbationState.FAILED, None, 1)
    assert told(stage) == ["alias_moved", "probation_started", "probation_judged", "probation_ended"]


def test_a_probation_passes_after_so_many_evaluations_and_waits_while_unsure(stage: Stage, held_out: str) -> None:
    promoted(stage, held_out, "a", Probation(HOLDS, evaluations=2))
    states = [stage.client.judge_probation(tiny.MODEL, "champion", later(stage, month)).state for month in (1, 2)]
    assert states == [ProbationState.OPEN, ProbationState.PASSED]
    promoted(stage, held_out, "b", Probation(UNSURE, days=1), strength=0.5)
    made = stage.client.judge_probation(tiny.MODEL, "champion", later(stage, 3))
    assert (made.verdict, made.state, live(stage)) == (Verdict.INCONCLUSIVE, ProbationState.OPEN, 2)


def test_a_newer_move_is_never_undone(stage: Stage, held_out: str) -> None:
    promoted(stage, held_out, "a", None)
    promoted(stage, held_out, "b", Probation(FAILS, days=14), strength=0.5)
    evaluation = later(stage, 1)
    promoted(stage, held_out, "c", None, strength=0.25)
    made = stage.client.judge_probation(tiny.MODEL, "champion", evaluation)
    assert (made.state, made.rolled_back_to, live(stage)) == (ProbationState.SUPERSEDED, None, 3)
    assert told(stage)[-2:] == ["probation_judged", "probation_ended"]
    assert stage.client.settle_probations() == []


def test_what_cannot_be_judged_is_refused_and_changes_nothing(stage: Stage, held_out: str) -> None:
    with pytest.raises(NotFound, match="probation"):
        promoted(stage, held_out, "a", None)
        stage.client.judge_probation(tiny.MODEL, "champion", later(stage, 1))
    before = later(stage, 2)
    promoted(stage, held_out, "b", Probation(FAILS, days=14), strength=0.5)
    with pytest.raises(InvalidValue, match="on probation"):
        stage.client.judge_probation(tiny.MODEL, "champion", before)
    (first,) = stage.client.wiring.store.list_evaluations(
        stage.client.get_version_by_alias(tiny.MODEL, "champion").run_id
    )
    with pytest.raises(InvalidValue, match="since the promotion"):
        stage.client.judge_probation(tiny.MODEL, "champion", first)
    assert live(stage) == 2
    assert told(stage)[-1] == "probation_started"


@pytest.mark.parametrize("given", [{}, {"days": 0}, {"days": True}, {"evaluations": 0}, {"evaluations": 1.5}])
def test_a_probation_without_a_sensible_end_is_refused(given: Any) -> None:
    with pytest.raises(InvalidValue):
        Probation(HOLDS, **given)


def test_a_policy_that_waits_for_people_judges_no_probation(stage: Stage, held_out: str) -> None:
    asks = {
        "name": "asks",
        "rules": [{"at_least": {"metric": "roc_auc", "value": 0.5}}, {"approval": {"role": "lead"}}],
    }
    with pytest.raises(InvalidValue, match="approval"):
        promoted(stage, held_out, "a", Probation(asks, days=1))
    with pytest.raises(InvalidPolicy):
        promoted(stage, held_out, "a", Probation({"name": "none", "rules": []}, days=1))
    assert stage.client.list_probations() == []


def test_a_judgement_killed_anywhere_and_made_again_happens_once(tmp_path: Path) -> None:
    for place in (("probation.judged", 1), ("alias.recorded", 1), ("probation.ended", 1), ("transaction.committed", 1)):
        folder = tmp_path / place[0]
        folder.mkdir()
        url = f"sqlite:///{folder / 'penstock.db'}"
        with penstock.connect(url, folder / "bytes", actor="ana") as client:
            stage = Stage(client, folder, url)
            held_out = tiny.held_out_file(folder)
            promoted(stage, held_out, "a", None)
            promoted(stage, held_out, "b", Probation(FAILS, days=14), strength=0.5)
            evaluation = later(stage, 1)
            client.close()
            killed_at(place, partial(client.judge_probation, tiny.MODEL, "champion", evaluation))
            made = client.judge_probation(tiny.MODEL, "champion", evaluation)
            assert (made.number, made.rolled_back_to, live(stage)) == (1, 1, 1)
            assert told(stage)[3:] == ["probation_judged", "alias_moved", "probation_ended"]
