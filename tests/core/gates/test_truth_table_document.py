"""The published truth table is the one the tests run, and MLflow's answers in it are to the rows as they are."""

from __future__ import annotations

import json

from tests import truth_table
from tests.core.test_truth_table import ROWS


def test_the_published_truth_table_is_written_from_the_rows() -> None:
    answered = json.loads(truth_table.ANSWERS.read_text(encoding="utf-8"))

    # Otherwise: python -m tests.truth_table
    assert truth_table.DOCUMENT.read_text(encoding="utf-8") == truth_table.document(answered)


def test_mlflow_was_asked_every_row_it_can_be_asked_as_the_row_is_now() -> None:
    answered = json.loads(truth_table.ANSWERS.read_text(encoding="utf-8"))["answers"]
    now = {row["case"]: truth_table.row_digest(row) for row in ROWS}

    # Otherwise: python -m tests.truth_table --mlflow .bench/mlflow/bin/python
    assert {case: known["row"] for case, known in answered.items()} == {
        case: now[case] for case in truth_table.questions()
    }


def test_the_page_names_what_mlflow_lets_in() -> None:
    page = truth_table.DOCUMENT.read_text(encoding="utf-8")

    assert "| better percent both NaN | INCONCLUSIVE (not_finite) | passes |" in page
    assert "| better by an amount candidate NaN | INCONCLUSIVE (not_finite) | raises InvalidOperation" in page
