"""The gate's truth table, row by row: `truth_table.yaml` is the specification and the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.model.canonical import canonical_json
from penstock.model.data import Dataset
from penstock.model.decisions import Outcome, Verdict
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide, replay
from tests.core.gate_samples import every_part, recorded

ROWS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "truth_table.yaml").read_text(encoding="utf-8"))
KEYS = {"case", "rule", "candidate", "baseline", "slices", "stance", "dataset", "facts", "context"}
KEYS |= {"verdict", "cause", "says"}


def _measured(values: object, of: str, n: int, slice: Mapping[str, str]) -> Iterator[Measurement]:
    for metric, value in values.items() if isinstance(values, dict) else ():
        undefined = value == "undefined"
        cause = "only one class" if undefined else ""
        yield Measurement(metric, of, None if undefined else float(value), n, slice, cause=cause)


def evaluation_of(row: Mapping[str, Any]) -> Evaluation:
    measurements = [
        *_measured(row.get("candidate"), CANDIDATE, 5000, {}),
        *_measured(row.get("baseline"), BASELINE, 5000, {}),
    ]
    for value, given in row.get("slices", {}).items():
        measurements += _measured(given.get("candidate"), CANDIDATE, given["n"], {"origin": value})
        measurements += _measured(given.get("baseline"), BASELINE, given["n"], {"origin": value})
    baseline = None
    if "baseline" in row:
        version = None if row["baseline"] == "none" else 3
        baseline = BaselineRef("models:/on-time@champion", "on-time", "champion", version, version and 1)
    data = {"name": "flights", "digest": "d-held", "rows": 5000, "role": "held-out", "source": "flights.parquet"}
    return Evaluation(
        evaluation_id="e1",
        run_id="0" * 32,
        model_id="m-" + "1" * 32,
        payload_digest="p",
        task="binary",
        dataset=Dataset(**{**data, **row.get("dataset", {})}),
        measurements=tuple(measurements),
        baseline=baseline,
        model_facts=row.get("facts", {}),
    )


def policy_of(row: Mapping[str, Any]) -> GatePolicy:
    stance = {"when_no_baseline": row["stance"]} if "stance" in row else {}
    return GatePolicy.from_data({"name": "row", "rules": [row["rule"]], **stance})


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_the_gate_says_what_the_truth_table_says(row: dict[str, Any]) -> None:
    verdict, (outcome,) = decide(policy_of(row), evaluation_of(row), row.get("context"))

    assert verdict is Verdict(row["verdict"]), outcome.reason
    assert outcome.cause == row.get("cause", ""), outcome.reason
    assert str(row.get("says", "")) in outcome.reason
    for part in every_part((outcome,)):
        assert part.reason
        assert bool(part.cause) is (part.outcome is Outcome.UNDECIDABLE)
        canonical_json(part.to_json())  # finite JSON, whatever was measured


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_a_row_replayed_from_its_stored_record_is_identical(row: dict[str, Any]) -> None:
    policy, evaluation = policy_of(row), evaluation_of(row)
    verdict, outcomes = decide(policy, evaluation, row.get("context"))
    stored = recorded(policy, evaluation, row.get("context"))

    assert replay(stored) == (verdict, outcomes) == (stored.verdict, stored.outcomes)


def test_the_table_has_no_misspelt_column_and_no_case_twice() -> None:
    assert len(ROWS) >= 80
    assert {key for row in ROWS for key in row} <= KEYS
    assert [case for case, times in Counter(row["case"] for row in ROWS).items() if times > 1] == []


def test_the_table_covers_every_rule_with_every_verdict() -> None:
    seen = {(next(iter(row["rule"])), row["verdict"]) for row in ROWS}
    rules = {rule for rule, _ in seen}

    assert len(rules) == 11
    assert seen == {(rule, verdict.value) for rule in rules for verdict in Verdict}
