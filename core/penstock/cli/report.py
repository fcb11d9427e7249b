"""`penstock report`: an experiment's story, as a table here and as a page to pass on."""

from __future__ import annotations

import difflib

import click

from penstock.cli.output import print_json
from penstock.cli.settings import Settings, common
from penstock.errors import NotFound


@click.command(short_help="Tell an experiment's story, here and as an HTML page.")
@click.argument("experiment", required=False)
@click.option("--evaluation", metavar="ID", help="Make a page about this one evaluation instead.")
@click.option("-o", "--output", default="report.html", show_default=True, type=click.Path(dir_okay=False))
@click.option("--metric", help="The metric the tables show; roc_auc, or the evaluation's first.")
@common
def report(settings: Settings, experiment: str | None, evaluation: str | None, output: str, metric: str | None) -> None:
    """Tell what became of each run of EXPERIMENT, and write the same as one self-contained HTML page.

    With --evaluation, a page about one evaluation: its numbers with intervals, its slices and plots.
    """
    if experiment is not None and evaluation is None:
        _of_experiment(settings, experiment, output, metric or "roc_auc")
    elif evaluation is not None and experiment is None:
        with settings.client() as client:
            path = client.write_evaluation_report({"evaluation_id": evaluation}, output, metric=metric)
        if settings.json:
            print_json({"report": str(path), "evaluation_id": evaluation})
        else:
            click.echo(f"Report: {path}")
    else:
        raise click.UsageError("name an EXPERIMENT, or one evaluation with --evaluation ID")


def _of_experiment(settings: Settings, experiment: str, output: str, metric: str) -> None:
    from penstock.cli.stories import print_stories, story_json

    with settings.client() as client:
        stories = client.run_stories(experiment)
        if not stories:
            known = sorted({run.experiment for run in client.list_runs(limit=1000)})
            near = difflib.get_close_matches(experiment, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known[:10]) or 'none yet'}"
            raise NotFound("experiment", experiment, hint)
        if not settings.json:
            print_stories(stories, metric)
        path = client.write_report(experiment, output, metric=metric)
    if settings.json:
        print_json({"report": str(path), "stories": [story_json(story) for story in stories]})
    else:
        click.echo(f"\nReport: {path}")
