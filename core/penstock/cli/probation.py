"""`penstock models probation`, `ungate` and `gate`: what people have said of a model beside its gate."""

from __future__ import annotations

from collections.abc import Sequence

import click

from penstock.cli.output import add_row, new_table, print_json, show, word
from penstock.cli.settings import Settings, common
from penstock.cli.words import one_line, short, version, when, who
from penstock.model.probation import AliasProbation, ProbationJudgement, ProbationState

FAILED = 1


@click.group()
def probation() -> None:
    """Promotions on probation: list them, judge later evaluations by them. All take --json."""


@probation.command("list")
@click.argument("name", required=False)
@common
def list_command(settings: Settings, name: str | None) -> None:
    """List the probations of model NAME, or of all models."""
    with settings.client() as client:
        found = client.list_probations(name)
    if settings.json:
        print_json(found)
    elif not found:
        click.echo("Nothing has been promoted on probation.")
    else:
        _show(found)


@probation.command()
@click.argument("name")
@click.argument("alias")
@click.argument("evaluation")
@click.option("--backfill", is_flag=True, help="Only say what the policy says; record and change nothing.")
@common
def judge(settings: Settings, name: str, alias: str, evaluation: str, backfill: bool) -> int:
    """Judge EVALUATION, made since the promotion, by the probation of ALIAS of model NAME; 1 if it failed.

    A FAIL takes the alias back to the version before, unless somebody has moved it since.
    """
    from penstock.cli.finding import find_evaluation

    with settings.client() as client:
        given = {"evaluation_id": find_evaluation(client, evaluation)}
        made = client.judge_probation(name, alias, given, backfill=backfill)
    if settings.json:
        print_json(made)
    else:
        click.echo(f"{made.verdict.value}: {one_line(made.reasons)}")
        click.echo(f"models:/{name}@{alias}: {_consequence(made)}")
    return FAILED if made.verdict.value == "FAIL" else 0


@probation.command()
@common
def settle(settings: Settings) -> None:
    """End the probations whose time is over, or whose alias has been moved since; from a schedule, say."""
    with settings.client() as client:
        found = client.settle_probations()
    if settings.json:
        print_json(found)
    elif not found:
        click.echo("No probation has come to its end.")
    else:
        _show(found)


@click.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why, in words: it goes on record and stays there.")
@common
def ungate(settings: Settings, name: str, reason: str) -> None:
    """Let model NAME in without a gate from now on, in your name. Protected aliases still need a passed decision."""
    with settings.client() as client:
        made = client.declare_ungated(name, reason)
    if settings.json:
        print_json(made)
    else:
        click.echo(f"{made.model} is ungated, by {who(made.actor)}: {one_line(made.reason)}")
        click.echo(f"Take it back: penstock models gate {made.model} --reason ...")


@click.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why, in words: it goes on record.")
@common
def gate(settings: Settings, name: str, reason: str) -> None:
    """Let model NAME in only through its gate again."""
    with settings.client() as client:
        made = client.declare_gated(name, reason)
    if settings.json:
        print_json(made)
    else:
        click.echo(f"{made.model} is gated, by {who(made.actor)}: {one_line(made.reason)}")


def in_words(found: AliasProbation) -> str:
    """Return a probation's terms and how far it has come, in a few words."""
    number = found.terms.evaluations
    so_far = "" if number is None else f", {found.passes} of {number} so far"
    return f"{found.state.value} ({found.terms.policy_name}, {found.terms.words}{so_far})"


def _show(found: Sequence[AliasProbation]) -> None:
    table = new_table("model", "alias", "version", "state", "policy", "lasts", "passed", "since (UTC)", "until (UTC)")
    for one in found:
        until = when(one.ends_at)
        row = (one.model, one.alias, version(one.version), word(one.state.value), one.terms.policy_name)
        add_row(table, *row, one.terms.words, one.passes, when(one.started_at), until)
    show(table)


def _consequence(made: ProbationJudgement) -> str:
    if made.number == 0:
        return "nothing was recorded or changed"
    if made.rolled_back_to is not None:
        return f"taken back to {version(made.rolled_back_to)}; evaluation {short(made.evaluation_id)}"
    if made.stays:
        return f"failed its probation, and stays live. {made.stays}"
    if made.state is ProbationState.FAILED:
        return "failed its probation, and there is no version before it to go back to"
    return f"its probation is {made.state.value}"


COMMANDS = (probation, ungate, gate)
