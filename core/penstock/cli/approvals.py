"""`penstock approvals`: what waits for a person, everything a yes would hold for, and answering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.output import add_row, cell, facts, heading, new_table, print_json, show, word
from penstock.cli.settings import Settings, common
from penstock.cli.words import NOTHING, number, one_line, short, version, when, who
from penstock.model.approvals import Approval, ApprovalState

if TYPE_CHECKING:
    from rich.console import RenderableType

STATES = [state.value for state in ApprovalState]


@click.group()
def approvals() -> None:
    """See what waits for a person; approve or reject it."""


@approvals.command("list")
@click.option("--model", help="Only this model's.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@common
def list_command(settings: Settings, model: str | None, state: str | None) -> None:
    """List approval requests, oldest first, and what became of them."""
    with settings.client() as client:
        found = client.list_approvals(model=model, state=state)
    if settings.json:
        print_json([_json(approval) for approval in found])
    elif not found:
        click.echo("No approvals have been asked for." if state is None else f"No approvals are {state}.")
    else:
        table = new_table("request", "model", "role", "state", "asked (UTC)", "until (UTC)", "answer", prose=["answer"])
        for approval in found:
            request, answer = approval.request, approval.answer
            said = approval.lapsed if answer is None else f"{who(answer.actor)}: {one_line(answer.reason)}"
            add_row(
                table,
                short(request.request_id),
                f"{request.model}@{request.alias}",
                request.role,
                word(approval.state.value),
                when(request.asked_at),
                when(request.expires_at),
                said or NOTHING,
            )
        show(table)


@approvals.command("show")
@click.argument("request")
@common
def show_command(settings: Settings, request: str) -> None:
    """Show everything that a yes to REQUEST would hold for (an id, its first 6 characters or more)."""
    from penstock.cli.finding import find_approval

    with settings.client() as client:
        approval = client.wiring.store.get_approval(find_approval(client, request))
    if settings.json:
        print_json(_json(approval))
    else:
        show(*_draw(approval))


@approvals.command()
@click.argument("request")
@click.option("--reason", required=True, help="Why, in words: it goes on record.")
@common
def approve(settings: Settings, request: str, reason: str) -> None:
    """Approve REQUEST, in the name of PENSTOCK_ACTOR or of who you are logged in as. Then decide again."""
    _answer(settings, request, True, reason)


@approvals.command()
@click.argument("request")
@click.option("--reason", required=True, help="Why, in words: it goes on record.")
@common
def reject(settings: Settings, request: str, reason: str) -> None:
    """Reject REQUEST, in the name of PENSTOCK_ACTOR or of who you are logged in as."""
    _answer(settings, request, False, reason)


def _answer(settings: Settings, request: str, approve: bool, reason: str) -> None:
    from penstock.cli.finding import find_approval

    with settings.client() as client:
        found = client.answer_approval(find_approval(client, request), approve, reason)
    if settings.json:
        print_json(_json(found))
        return
    asked, answer = found.request, found.answer
    by = NOTHING if answer is None else who(answer.actor)
    click.echo(f"{asked.model}@{asked.alias}: {found.state.value} by {by} as {one_line(asked.role)}.")
    again = (
        f"penstock gate decide {short(asked.evaluation_id)} --policy ... --model {asked.model} --alias {asked.alias}"
    )
    click.echo(f"The next decision takes it into account: run the pipeline's step again, or\n  {again}")


def _json(approval: Approval) -> dict[str, Any]:
    request = approval.request
    return {
        **request.to_json(),
        "state": approval.state.value,
        "lapsed": approval.lapsed,
        "answer": approval.answer,
        "asked_at": request.asked_at,
        "expires_at": request.expires_at,
    }


def _draw(approval: Approval) -> Iterator[RenderableType]:
    request, answer = approval.request, approval.answer
    yield heading(f"Approval request {request.request_id}")
    yield facts(
        {
            "state": word(approval.state.value),
            "lapsed": approval.lapsed if answer is None else "",
            "answer": "" if answer is None else f"{who(answer.actor)}, {when(answer.answered_at)} UTC: {answer.reason}",
            "asks for": f"a person in the role {request.role}" + (", not an author" if request.four_eyes else ""),
            "authors": ", ".join(who(author) for author in request.authors),
            "asked": f"{when(request.asked_at)} UTC, until {when(request.expires_at)} UTC",
            "decision": request.decision_id,
            "run": request.step.run_id,
        }
    )
    yield heading("A yes holds for exactly this")
    binds = request.binds
    live, compared, data = binds["champion"], binds["compared_with"], binds["data"]
    yield facts(
        {
            "model": f"{request.model}@{request.alias}",
            "live now": f"{version(live['version'])}, the alias at generation {live['generation']}",
            "compared with": "nothing" if compared is None else version(compared["version"]),
            "anchor": "" if binds["anchor"] is None else version(binds["anchor"]),
            "candidate": f"payload sha256 {binds['candidate']['payload_digest']}",
            "data": f"{data['name']}: {data['rows']:,} rows, digest {short(data['digest'])}",
            "policy": f"{binds['policy']['name']} (sha256 {binds['policy']['digest']})",
            "everything": f"sha256 {request.digest}",
        }
    )
    measured: Mapping[str, Mapping[str, Any]] = binds["measured"]
    yield cell("")
    table = new_table("metric", "candidate", "baseline", numbers=["candidate", "baseline"])
    for metric, value in measured["candidate"].items():
        add_row(table, metric, _value(value), _value(measured["baseline"].get(metric)))
    yield table
    if request.summary:
        yield heading("What holds already")
        yield cell(request.summary)


def _value(value: Any) -> str:
    return number(value) if value is None or isinstance(value, int | float) else str(value)
