"""The published truth table, written from the rows that the tests run: `python -m tests.truth_table`.

With `--mlflow PYTHON` (an interpreter that has MLflow, for example `.bench/mlflow/bin/python`) every row that MLflow's
`MetricThreshold` can express is put to `mlflow.validate_evaluation_results` first, and its answers are kept beside the
rows in `truth_table_mlflow.json`, each with the digest of its row, so that a changed row asks for a new answer.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.model.canonical import digest
from penstock.model.metrics import Direction, find_metric
from penstock.policies import schema
from tests.core import test_truth_table
from tests.core.test_truth_table import ROWS

DOCUMENT = Path(schema.__file__).with_name("TRUTH-TABLE.md")
ANSWERS = Path(test_truth_table.__file__).with_name("truth_table_mlflow.json")
_UNSAYABLE = {"policy", "stats", "baseline_stats", "anchor", "slices", "context"}
_KEPT = ("candidate", "baseline", "slices", "stats", "baseline_stats", "anchor", "policy", "stance", "dataset", "facts")

_INTRODUCTION = """\
# The gate's truth table

What each rule says in every case somebody thought of: {rows} rows, each of them run by the tests. This page is written
from them by `python -m tests.truth_table` and checked to be in step.

**passed, failed, undecidable.** A policy passes (PASS) if all its rules passed and fails (FAIL) if one failed; else it
is INCONCLUSIVE, with a cause. Only PASS opens the gate. Stored doubles are compared exactly; margins are exact
rationals. `at_least`, `at_most`, `between`, `no_worse_than` and the suspicion cap take a tie, `better_than` does not.
What is missing, undefined, NaN or infinite is undecidable, whatever the policy says about a missing baseline.

**Defaults of a row.** 5,000 held-out rows with digest `d-held`; the baseline is version 3, the champion; "none" means
that there is no champion yet, and no column means that the candidate was measured without one.
"""
_MLFLOW = """\
## Differences to MLflow

MLflow {version} answers with passing or an exception. Of the {rows} rows it can be asked {asked}: absolute bounds, and
improvements over a baseline by a positive amount. It has no way to say `between`, "no worse than, within a margin"
(a negative change is refused), slices, alternatives, confidence, a budget, an anchor, held-out data, requirements or an
approval, and no third answer. It agrees on {same} of them; on these {differing} it does not. Of those it lets in
{let_in} that do not pass here, and raises an error that is no answer on {errors}:

| case | here | MLflow |
|---|---|---|
"""

# Run by the interpreter that has MLflow: rows on standard input, answers on standard output.
_ASKING = """
import json, sys, types
import mlflow
from mlflow.models import MetricThreshold
answers = {}
for case, asked in json.load(sys.stdin).items():
    try:
        thresholds = {asked["metric"]: MetricThreshold(**asked["threshold"])}
        known = [asked["candidate"], asked["baseline"]]
        results = [None if metrics is None else types.SimpleNamespace(metrics=metrics) for metrics in known]
        mlflow.validate_evaluation_results(thresholds, *results)
        answers[case] = "passes"
    except Exception as error:
        name = type(error).__name__
        refused = name == "ModelValidationFailedException"
        answers[case] = "fails" if refused else f"raises {name}: {str(error).splitlines()[0]}"
print(json.dumps({"version": mlflow.__version__, "answers": answers}))
"""


def questions() -> dict[str, dict[str, Any]]:
    """Return each row that MLflow's validator can be asked, in its words."""
    asked = {row["case"]: _asked(row) for row in ROWS}
    return {case: question for case, question in asked.items() if question is not None}


def ask_mlflow(python: str) -> dict[str, Any]:
    """Put the rows to the MLflow of another interpreter."""
    told = json.dumps(questions())
    done = subprocess.run([python, "-c", _ASKING], input=told, capture_output=True, text=True, check=True)
    answered = json.loads(done.stdout.splitlines()[-1])
    by_case = {row["case"]: row for row in ROWS}
    answers = {case: {"row": row_digest(by_case[case]), "answer": said} for case, said in answered["answers"].items()}
    return {"version": answered["version"], "answers": answers}


def row_digest(row: Mapping[str, Any]) -> str:
    """Return the digest of what a row asks, without what it expects in words."""
    return digest(_finite({key: value for key, value in row.items() if key != "says"}))[:16]


def document(answered: Mapping[str, Any]) -> str:
    """Return the page."""
    lines = [_INTRODUCTION.format(rows=len(ROWS))]
    rules = list(dict.fromkeys(next(iter(row["rule"])) for row in ROWS))
    section = ""
    for row in sorted(ROWS, key=lambda row: rules.index(next(iter(row["rule"])))):
        keyword = next(iter(row["rule"]))
        if keyword != section:
            section = keyword
            lines.append(f"\n## `{section}`\n\n| case | rule | given | verdict | cause |\n|---|---|---|---|---|")
        given = ", ".join(f"{key} {_code(row[key])}" for key in _KEPT if key in row)
        told = f", told {_code(row['context'])}" if "context" in row else ""
        rule = _code(row["rule"][keyword])
        cells = (row["case"], rule, (given + told).lstrip(", "), f"**{row['verdict']}**", row.get("cause", ""))
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    differing = list(_differences(answered))
    asked = len(answered["answers"])
    verdicts = {row["case"]: row["verdict"] for row in ROWS}
    said = {case: known["answer"] for case, known in answered["answers"].items()}
    let_in = sum(answer == "passes" and verdicts[case] != "PASS" for case, answer in said.items())
    errors = sum(answer.startswith("raises") for answer in said.values())
    counts = {"rows": len(ROWS), "asked": asked, "same": asked - len(differing), "differing": len(differing)}
    counts |= {"let_in": let_in, "errors": errors}
    lines.append("\n" + _MLFLOW.format(version=answered["version"], **counts) + "\n".join(differing))
    return "\n".join(lines) + "\n"


def _differences(answered: Mapping[str, Any]) -> Iterator[str]:
    verdicts = {row["case"]: row["verdict"] + (f" ({row['cause']})" if "cause" in row else "") for row in ROWS}
    for case, known in answered["answers"].items():
        verdict, answer = verdicts[case], known["answer"]
        if {"passes": "PASS", "fails": "FAIL"}.get(answer) != verdict:
            yield f"| {case} | {verdict} | {answer.replace('|', ' ')} |"


def _asked(row: Mapping[str, Any]) -> dict[str, Any] | None:
    keyword, given = next(iter(row["rule"].items()))
    if (
        _UNSAYABLE & row.keys()
        or keyword not in {"at_least", "at_most", "better_than"}
        or {"tolerance", "confidence"} & given.keys()
    ):
        return None
    metric = find_metric(given["metric"])
    assert metric is not None
    if keyword == "better_than":
        amounts = {"by": "min_absolute_change", "by_percent": "min_relative_change"}
        key = "by" if "by" in given else "by_percent"
        amount = float(given[key]) / (100 if key == "by_percent" else 1)
        if amount == 0 and key == "by":
            return None  # an improvement of nothing is refused by MLflow when it is written
        threshold = {amounts[key]: amount, "greater_is_better": metric.better is Direction.HIGHER}
    else:
        threshold = {"threshold": float(given["value"]), "greater_is_better": keyword == "at_least"}
    baseline = row.get("baseline")
    return {
        "metric": given["metric"],
        "threshold": threshold,
        "candidate": _measured(row.get("candidate", {})),
        "baseline": _measured(baseline) if isinstance(baseline, dict) else None,
    }


def _measured(values: Mapping[str, Any]) -> dict[str, float]:
    return {metric: float(value) for metric, value in values.items() if value != "undefined"}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _code(value: Any) -> str:
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return '""' if value == "" else str(value)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", help="an interpreter that has MLflow: ask it again")
    arguments = parser.parse_args()
    if arguments.mlflow:
        ANSWERS.write_text(json.dumps(ask_mlflow(arguments.mlflow), indent=1) + "\n")
    DOCUMENT.write_text(document(json.loads(ANSWERS.read_text())))
    print(f"written: {DOCUMENT.name}, {len(ROWS)} rows")


if __name__ == "__main__":
    main()
