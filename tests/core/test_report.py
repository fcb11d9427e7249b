"""The HTML report: what it says, that it fetches nothing, and that data cannot become markup."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from penstock.evaluation.report import write_report
from penstock.model.data import Dataset
from penstock.model.decisions import GateDecision, Outcome, RuleOutcome, Verdict
from penstock.model.evaluations import BASELINE, CANDIDATE, BaselineRef, Evaluation, Measurement
from penstock.model.ids import RunKey
from penstock.model.runs import Run, RunStatus
from penstock.model.stories import RunStory
from penstock.model.versions import AliasMove, Authorization, AuthorizationKind

CURVES = {
    "roc": {"fpr": [0.0, 0.1, 0.4, 1.0], "tpr": [0.0, 0.6, 0.9, 1.0]},
    "calibration": [{"score": 0.1, "rate": 0.12, "n": 500}, {"score": 0.8, "rate": 0.75, "n": 500}],
    "confusion": {"tn": 700, "fp": 50, "fn": 80, "tp": 170},
}
VERDICTS = {
    "PASS": (Verdict.PASS, Outcome.PASSED),
    "FAIL": (Verdict.FAIL, Outcome.FAILED),
    "INCONCLUSIVE": (Verdict.INCONCLUSIVE, Outcome.UNDECIDABLE),
}


def story(
    month: int,
    verdict: str = "PASS",
    candidate: float | None = 0.8,
    champion: float | None = None,
    before: int | None = None,
    after: int | None = None,
    **changed: Any,
) -> RunStory:
    run_id = f"{month:032x}"
    partition = changed.get("partition", f"2013-{month:02d}")
    run = Run(
        run_id, "1", "delays", RunKey("delays", partition), RunStatus.FINISHED, datetime(2026, 1, month, tzinfo=UTC)
    )
    slices = [("carrier", name, value) for name, value in changed.get("slices", ())]
    evaluation = Evaluation(
        f"e{month}",
        run_id,
        "m-" + run_id,
        "p",
        "binary",
        Dataset(changed.get("data", "held-out-2013"), "rows:1000:00", 1000, "held-out", "x.parquet"),
        (
            Measurement(
                "roc_auc", CANDIDATE, candidate, 1000, cause="" if candidate is not None else "y has one class"
            ),
            *([Measurement("roc_auc", BASELINE, champion, 1000)] if champion is not None else []),
            *(Measurement("roc_auc", CANDIDATE, value, 100, slice={column: name}) for column, name, value in slices),
        ),
        BaselineRef("models:/on-time@champion", "on-time", "champion", before, 1),
        {"candidate": CURVES, **({"baseline": CURVES} if champion is not None else {})},
    )
    judged, outcome = VERDICTS[verdict]
    decision = GateDecision(
        f"d{month}",
        run_id,
        evaluation.evaluation_id,
        "on-time",
        "champion",
        judged,
        (RuleOutcome({}, outcome, changed.get("reason", f"reason of month {month}")),),
        "nightly",
        "",
        "",
        "",
        "",
        before,
        1,
        before is None,
        "",
    )
    authorization = Authorization("a", AuthorizationKind.DECISION, "on-time")
    moves = () if after is None else (AliasMove("on-time", "champion", before, after, month, authorization),)
    return RunStory(run, evaluation, decision, None, moves)


YEAR = [
    story(1, "PASS", 0.71, None, None, 1),
    story(2, "PASS", 0.74, 0.70, 1, 2),
    story(3, "FAIL", 0.69, 0.735, 2),
    story(4, "INCONCLUSIVE", math.nan, 0.73, 2),
    story(5, "PASS", 0.76, 0.732, 2, 3, slices=[("AA", 0.8), ("UA", 0.6)]),
]


class Texts(HTMLParser):
    """Collects the tags and the visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def page_of(stories: list[RunStory], tmp_path: Path, **options: Any) -> str:
    options.setdefault("title", "Flight delays")
    return write_report(stories, tmp_path / "report.html", **options).read_text("utf-8")


def rows_of(page: str) -> list[list[str]]:
    body = re.search(r'class="runs">.*?<tbody>(.*?)</tbody>', page, re.S)
    assert body is not None
    cells = [re.findall(r"<td.*?</td>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", body[1], re.S)]
    return [[re.sub(r"<.*?>", "", cell).strip() for cell in row] for row in cells]


def test_there_is_one_row_per_run_with_what_was_champion_before_and_after(tmp_path: Path) -> None:
    rows = rows_of(page_of(YEAR, tmp_path))

    assert [row[0] for row in rows] == ["2013-01", "2013-02", "2013-03", "2013-04", "2013-05"]
    assert rows[0][2:] == ["none", "0.7100", "–", "✓ PASS", "reason of month 1", "v1"]
    assert rows[1][2:] == ["v1", "0.7400", "0.7000", "✓ PASS", "reason of month 2", "v2"]
    assert rows[2][2:] == ["v2", "0.6900", "0.7350", "✕ FAIL", "reason of month 3", "v2"]
    assert rows[3][2:6] == ["v2", "NaN", "0.7300", "? INCONCLUSIVE"]
    assert rows[4][1] == f"{5:032x}"[:8]


def test_runs_stand_in_order_of_time_however_they_are_given(tmp_path: Path) -> None:
    assert rows_of(page_of(YEAR[::-1], tmp_path)) == rows_of(page_of(YEAR, tmp_path))


def test_the_page_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = page_of(YEAR, tmp_path)

    for outside in ("http", "//", "url(", "@import", "<script", "<link", "<img", "<iframe", " src=", " href="):
        assert outside not in page, outside
    assert len(page) < 60_000


def test_nothing_from_data_becomes_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'><img onerror=x>"
    stories = [
        story(1, "PASS", 0.7, 0.6, 1, 2, partition=evil[:40], reason=evil, data=evil, slices=[(evil, 0.5)]),
        story(2, "FAIL", 0.7, 0.6, 2, partition=evil[:40], reason=evil),
    ]

    page = page_of(stories, tmp_path, title=evil)

    parsed = Texts(page)
    assert "script" not in parsed.tags
    assert "img" not in parsed.tags
    assert "onerror" not in parsed.attributes
    assert evil in parsed.text


def test_a_metric_name_cannot_become_markup(tmp_path: Path) -> None:
    assert "script" not in Texts(page_of(YEAR, tmp_path, metric="<script>")).tags


def test_tags_are_balanced(tmp_path: Path) -> None:
    page = page_of(YEAR, tmp_path)

    for tag in ("svg", "g", "table", "tr", "td", "th", "details", "figure", "div", "span", "ul", "li", "text", "p"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag


def test_every_evaluation_has_a_section_and_only_the_newest_is_open(tmp_path: Path) -> None:
    page = page_of(YEAR, tmp_path)

    assert page.count("<details") == 5
    assert page.count("<details open") == 1
    assert "2013-05" in page.split("<details open")[1].split("</summary>")[0]


def test_promotions_are_marked_in_the_plot_over_partitions(tmp_path: Path) -> None:
    page = page_of(YEAR, tmp_path)
    plot = page.split("by partition</h2>")[1].split('<div class="scroll">')[1].split("</svg>")[0]

    assert plot.count('class="promotion"') == 3
    assert "nan" not in plot.lower()
    assert plot.count('class="line candidate"') == 1  # broken by the NaN: a line needs two points in a row


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_said_in_words_and_not_drawn(tmp_path: Path, value: float | None) -> None:
    page = page_of([story(1, "INCONCLUSIVE", value)], tmp_path)

    assert rows_of(page)[0][3] in {"undefined", "NaN", "inf", "-inf"}
    assert "No run has a finite value" in page


def test_the_weakest_slice_comes_first(tmp_path: Path) -> None:
    page = page_of(YEAR, tmp_path)
    assert page.index(">UA</td>") < page.index(">AA</td>")


def test_a_run_that_did_not_get_far_is_shown_with_its_status(tmp_path: Path) -> None:
    run = Run(
        "f" * 32, "1", "d", RunKey("d", "2013-06"), RunStatus.FAILED, datetime(2026, 2, 1, tzinfo=UTC), reason="oom"
    )
    rows = rows_of(page_of([*YEAR, RunStory(run)], tmp_path))

    assert rows[-1] == ["2013-06", "ffffffff", "–", "–", "–", "no decision (FAILED)", "oom", "–"]


def test_no_runs_make_an_empty_page(tmp_path: Path) -> None:
    assert "0 runs" in page_of([], tmp_path)


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(YEAR, tmp_path / "new" / "report.html", title="first")
    before = path.read_bytes()

    def broken(source: Any, target: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_report(YEAR, path, title="second")

    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
