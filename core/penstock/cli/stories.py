"""What became of each run, as a table: who was champion, how the candidate measured, what the gate said and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.cli.judgements import why
from penstock.cli.output import add_row, brief, new_table, plain, show, word
from penstock.cli.words import NOTHING, one_line, version
from penstock.model.evaluations import BASELINE
from penstock.model.stories import RunStory

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

RUN_ID_LENGTH = 8


def print_stories(stories: Sequence[RunStory], metric: str = "roc_auc", console: Console | None = None) -> None:
    """Print a row for each run; to stdout where no console is given."""
    table = stories_table(stories, metric, width=0 if console is None else console.width)
    if console is None:
        show(table)
    else:
        console.print(table)


def story_json(story: RunStory) -> dict[str, Any]:
    """Return a story as plain JSON."""
    return {**plain(story), "evaluation": brief(story.evaluation), "decision": brief(story.decision)}


def stories_table(stories: Sequence[RunStory], metric: str, width: int = 0) -> Table:
    """Return the table of `stories`, to be drawn `width` wide (0: as stdout is)."""
    ours, theirs = f"candidate\n{metric}", f"champion\n{metric}"
    columns = ("partition", "run", "champion\nbefore", ours, theirs, "verdict", "champion\nafter", "why")
    table = new_table(*columns, numbers=[ours, theirs], prose=["why"], width=width)
    for story in stories:
        before, after = champions(story)
        evaluation, decision = story.evaluation, story.decision
        add_row(
            table,
            story.run.key.partition,
            story.run.run_id[:RUN_ID_LENGTH],
            before,
            _four_places(None if evaluation is None else evaluation.value(metric)),
            _four_places(None if evaluation is None else evaluation.value(metric, BASELINE)),
            word(NOTHING if decision is None else decision.verdict.value),
            after,
            "\n".join(
                filter(None, (_undecided(story) if decision is None else why(decision), one_line(story.overruled)))
            ),
        )
    return table


def champions(story: RunStory) -> tuple[str, str]:
    """Return the champion's version before and after a run, as words."""
    if story.evaluation is None or story.evaluation.baseline is None:
        before = NOTHING
    else:
        before = version(story.evaluation.baseline.version)
    return before, story.moved_to or before


def _undecided(story: RunStory) -> str:
    reached = "not evaluated" if story.evaluation is None else "evaluated, but no gate has decided"
    reason = f": {one_line(story.run.reason)}" if story.run.reason else ""
    return f"{reached}; run {story.run.status.value}{reason}"


def _four_places(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"
