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
from penstock.model.evaluations import ANCHOR, BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.policies import GatePolicy
from penstock.services.deciding import decide, replay
from tests.core.gate_samples import every_part, recorded

_TEXT = (Path(__file__).parent / "truth_table.yaml").read_text(encoding="utf-8")
# libyaml reads it ten times as quickly as PyYAML's own parser, and every mutant reads it anew.
ROWS: list[dict[str, Any]] = yaml.load(_TEXT, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
KEYS = {"case", "rule", "candidate", "baseline", "slices", "stance", "dataset", "facts", "context"}
KEYS |= {"policy", "stats", "baseline_stats", "anchor", "verdict", "cause", "says"}


def _measured(
    values: object,
    of: str,
    n: int = 5000,
    slice: Mapping[str, str] | None = None,
    stats: Mapping[str, Any] | None = None,
) -> Iterator[Measurement]:
    for metric, value in values.items() if isinstance(values, dict) else ():
        undefined = value == "undefined"
        cause = "only one class" if undefined else ""
        known = (stats or {}).get(metric, {})
        number = None if undefined else float(value)
        yield Measurement(metric, of, number, n, slice or {}, cause=cause, stats=known)


def _slice_of(name: str) -> dict[str, str]:
    """`JFK` is a slice of `origin`, `JFK+AA` one of the cross with `carrier`."""
    return dict(zip(("origin", "carrier"), name.split("+"), strict=False))


def evaluation_of(row: Mapping[str, Any]) -> Evaluation:
    measurements = [
        *_measured(row.get("candidate"), CANDIDATE, stats=row.get("stats")),
        *_measured(row.get("baseline"), BASELINE, stats=row.get("baseline_stats")),
        *_measured(row.get("anchor"), ANCHOR),
    ]
    for name, given in row.get("slices", {}).items():
        where = _slice_of(name)
        measurements += _measured(given.get("candidate"), CANDIDATE, given["n"], where, given.get("stats"))
        measurements += _measured(given.get("baseline"), BASELINE, given["n"], where)
    baseline = anchor = None
    if "baseline" in row:
        version = None if row["baseline"] == "none" else 3
        baseline = BaselineRef("models:/on-time@champion", "on-time", "champion", version, version and 1)
    if "anchor" in row:
        anchor = BaselineRef("models:/on-time/1", "on-time", "", 1)
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
        anchor=anchor,
    )


def policy_data_of(row: Mapping[str, Any]) -> dict[str, Any]:
    stance = {"when_no_baseline": row["stance"]} if "stance" in row else {}
    return {"name": "row", **stance, **row.get("policy", {}), "rules": [row["rule"]]}


def policy_of(row: Mapping[str, Any]) -> GatePolicy:
    return GatePolicy.from_data(policy_data_of(row))


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_the_gate_says_what_the_truth_table_says(row: dict[str, Any]) -> None:
    verdict, outcomes = decide(policy_of(row), evaluation_of(row), row.get("context"))
    # With a budget there is a second outcome: what the look may spend.
    reasons = "; ".join(outcome.reason for outcome in outcomes)

    assert verdict is Verdict(row["verdict"]), reasons
    assert row.get("cause", "") in {outcome.cause for outcome in outcomes}, reasons
    assert str(row.get("says", "")) in reasons
    for part in every_part(outcomes):
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
    assert len(ROWS) >= 200
    assert {key for row in ROWS for key in row} <= KEYS
    assert [case for case, times in Counter(row["case"] for row in ROWS).items() if times > 1] == []


def test_the_table_covers_every_rule_with_every_verdict() -> None:
    seen = {(next(iter(row["rule"])), row["verdict"]) for row in ROWS}
    rules = {rule for rule, _ in seen}

    assert len(rules) == 12
    assert seen == {(rule, verdict.value) for rule in rules for verdict in Verdict}
