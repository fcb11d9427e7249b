"""`penstock events`: what was recorded, as others are told of it; webhooks and their deliveries."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.output import add_row, json_text, new_table, print_json, show, word
from penstock.cli.settings import Settings, common
from penstock.cli.words import clean, pairs, when, who
from penstock.model.webhooks import DeliveryState

if TYPE_CHECKING:
    from penstock.client import Client
    from penstock.model.webhooks import Delivery

POLL_S = 1.0


@click.group()
def events() -> None:
    """Follow what is recorded, and tell webhooks of it."""


@events.command("list")
@click.option("--model", help="Only this model's events.")
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind, such as alias_moved; repeatable.")
@click.option("--after", help="The cursor that an earlier --json call printed: only what came later.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, newest.")
@common
def list_command(settings: Settings, model: str | None, kinds: tuple[str, ...], after: str | None, limit: int) -> None:
    """List events, oldest first. With --json also the cursor to go on from."""
    cursor = None if after is None else _cursor(after)
    with settings.client() as client:
        found, following = client.events_after(cursor, model=model, kinds=kinds)
    if settings.json:
        print_json({"events": found if cursor is not None else found[-limit:], "cursor": following})
        return
    if not found:
        click.echo("No events.")
        return
    if len(found) > limit:
        click.echo(f"The last {limit} of {len(found)} events; --limit shows more.\n")
    table = new_table("time (UTC)", "event", "chain", "on", "by", prose=["on"])
    for event in found[-limit:]:
        add_row(table, *_cells(event))
    show(table)


@events.command("watch")
@click.option("--model", help="Only this model's events.")
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind; repeatable.")
@common
def watch_command(settings: Settings, model: str | None, kinds: tuple[str, ...]) -> None:
    """Print events as they are recorded, one a line, until Ctrl-C; with --json as JSON lines."""
    with settings.client() as client:
        cursor = client.event_cursor()
        while True:
            found, cursor = client.events_after(cursor, model=model, kinds=kinds)
            for event in found:
                click.echo(json_text(event) if settings.json else clean("  ".join(_cells(event))))
            time.sleep(POLL_S)


@events.command("deliver")
@click.option("--watch", is_flag=True, help="Keep delivering until Ctrl-C.")
@common
def deliver_command(settings: Settings, watch: bool) -> int:
    """Send what is due to every webhook. Exit code 1 if a receiver refused an event: it will be tried again.

    Run it from time to time, or with --watch. Each webhook's signing key must be in this process's environment.
    """
    with settings.client() as client:
        while True:
            tries = _deliver(client, settings)
            if not watch:
                break
            time.sleep(POLL_S)
    if not tries and not settings.json:
        click.echo("Nothing is due.")
    return int(any(delivery.state is not DeliveryState.DELIVERED for delivery in tries))


@events.command("deliveries")
@click.argument("webhook", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many, newest.")
@common
def deliveries_command(settings: Settings, webhook: str | None, limit: int) -> None:
    """List what became of each try to deliver, newest first."""
    with settings.client() as client:
        found = client.list_deliveries(webhook, limit)
    if settings.json:
        print_json(found)
    elif found:
        show(_deliveries(found))
    else:
        click.echo("Nothing has been delivered yet.")


@events.group("webhooks")
def webhooks() -> None:
    """Who is told of events."""


@webhooks.command("add")
@click.argument("name")
@click.argument("target", metavar="URL")
@click.option(
    "--secret", required=True, metavar="VARIABLE", help="The environment variable that holds the signing key."
)
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind, such as alias_moved; repeatable.")
@click.option("--model", "models", multiple=True, help="Only this model's events; repeatable.")
@common
def add_command(
    settings: Settings, name: str, target: str, secret: str, kinds: tuple[str, ...], models: tuple[str, ...]
) -> None:
    """Tell URL of what is recorded from now on; `penstock events deliver` sends it."""
    with settings.client() as client:
        chains = [f"model:{model}" for model in models]
        webhook = client.add_webhook(name, target, secret=secret, kinds=kinds, chains=chains)
    if settings.json:
        print_json(webhook)
    else:
        click.echo(clean(f"Webhook {webhook.name} goes to {webhook.target}, signed with ${webhook.secret_variable}."))


@webhooks.command("list")
@common
def webhooks_command(settings: Settings) -> None:
    """List webhooks by name."""
    with settings.client() as client:
        found = client.list_webhooks()
    if settings.json:
        print_json(found)
        return
    if not found:
        click.echo("No webhooks. Add one with: penstock events webhooks add NAME URL --secret VARIABLE")
        return
    table = new_table("name", "target", "events", "of", "key in", "added (UTC)", "by", prose=["target"])
    for hook in found:
        kinds, chains = ", ".join(hook.kinds) or "all", ", ".join(hook.chains) or "all"
        by = who(hook.created_by)
        add_row(table, hook.name, hook.target, kinds, chains, f"${hook.secret_variable}", when(hook.created_at), by)
    show(table)


@webhooks.command("remove")
@click.argument("name")
@common
def remove_command(settings: Settings, name: str) -> None:
    """Remove a webhook and its log of deliveries."""
    with settings.client() as client:
        client.remove_webhook(name)
    if settings.json:
        print_json({"removed": name})
    else:
        click.echo(f"Webhook {clean(name)} is removed.")


def _cursor(text: str) -> Mapping[str, int]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict) and all(isinstance(n, int) and not isinstance(n, bool) for n in found.values()):
        return found
    raise click.BadParameter("not a cursor, which is the JSON object that an earlier --json call printed.")


def _cells(event: Mapping[str, Any]) -> tuple[str, ...]:
    subject = {name: value for name, value in event["subject"].items() if name != "model"}
    kind = str(event["type"]).replace("_", " ")
    return event["time"][:19].replace("T", " "), kind, event["chain"], pairs(subject), who(event["actor"])


def _deliver(client: Client, settings: Settings) -> list[Delivery]:
    made = []
    for delivery in client.deliver_events():
        made.append(delivery)
        if settings.json:
            click.echo(json_text(delivery))
        else:
            answer = delivery.error or f"{delivery.status}"
            click.echo(
                clean(f"{delivery.state.value:<10} {delivery.webhook}  {delivery.chain} {delivery.sequence}  {answer}")
            )
    return made


def _deliveries(found: Sequence[Delivery]) -> Any:
    table = new_table("time (UTC)", "webhook", "event", "try", "state", "answer", "took", prose=["answer"])
    for made in found:
        event = f"{made.chain} {made.sequence}"
        answer = made.error or str(made.status)
        took = f"{made.duration_ms} ms"
        add_row(table, when(made.at), made.webhook, event, made.number, word(made.state.value), answer, took)
    return table
