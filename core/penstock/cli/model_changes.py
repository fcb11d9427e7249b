"""`penstock models`, the part that changes something: every change is on record with who and why."""

from __future__ import annotations

import click

from penstock.cli.model_words import authorized_by, find_version, moved
from penstock.cli.output import print_json
from penstock.cli.settings import Settings, common, version_number
from penstock.cli.words import one_line, pairs
from penstock.cli.words import version as version_word

_IN_FORCE = click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False),
    help="The policy in force: refuse a decision that was made under another.",
)
_REASON = "Why, in words: it goes on record."


def _optional_version(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    return None if value is None else version_number(ctx, param, value)


@click.command()
@click.argument("name")
@click.argument("model")
@click.option("--decision", help="The passed decision that judged exactly this model.")
@click.option("--override", help="Instead: the override that was given for exactly this model.")
@_IN_FORCE
@common
def register(
    settings: Settings, name: str, model: str, decision: str | None, override: str | None, policy: str | None
) -> None:
    """Register MODEL (runs:/<run id>/<name>) as the next version of NAME; an ungated one needs no decision."""
    from penstock.cli.finding import find_allowance

    with settings.client() as client:
        made = client.register(name, model, find_allowance(client, name, decision, override), policy=policy)
    if settings.json:
        print_json(made)
    else:
        click.echo(f"{made.uri} is {model}, {authorized_by(made.authorization)}")


@click.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version", callback=version_number)
@click.option("--decision", help="The passed decision that was made for this model and alias.")
@click.option("--override", help="Instead: the override that names this alias.")
@_IN_FORCE
@click.option("--probation", metavar="POLICY", help="Put it on probation: a policy that later evaluations must hold.")
@click.option("--probation-days", type=float, help="For so many days, and then it has passed.")
@click.option("--probation-evaluations", type=int, help="Until so many later evaluations have passed.")
@common
def promote(
    settings: Settings,
    name: str,
    alias: str,
    version: int,
    decision: str | None,
    override: str | None,
    policy: str | None,
    probation: str | None,
    probation_days: float | None,
    probation_evaluations: int | None,
) -> None:
    """Point ALIAS of model NAME to VERSION, if nobody has moved it since the decision was made.

    A version that was never seen to load is tried first, in a clean process. On probation it goes back by itself if a
    later evaluation fails: penstock models probation judge.
    """
    from penstock.cli.finding import find_allowance
    from penstock.model.probation import Probation

    if probation is None and not (probation_days is None and probation_evaluations is None):
        raise click.UsageError("--probation names the policy that later evaluations must hold.")
    on = None if probation is None else Probation(probation, probation_days, probation_evaluations)
    with settings.client() as client:
        allowance = find_allowance(client, name, decision, override)
        move = client.promote(name, alias, version, allowance, probation=on, policy=policy)
    if settings.json:
        print_json(move)
    else:
        click.echo(f"models:/{name}@{alias}: {moved(move)}, {authorized_by(move.authorization)}")


@click.command()
@click.argument("name")
@click.argument("alias")
@click.option(
    "--to", metavar="VERSION", callback=_optional_version, help="A version that held it; else the one before."
)
@click.option("--reason", required=True, help=_REASON)
@click.option("--key", help="An incident's number, say: the same key again changes nothing.")
@common
def rollback(settings: Settings, name: str, alias: str, to: int | None, reason: str, key: str | None) -> None:
    """Take ALIAS of model NAME back to the version it pointed to before. Needs the database only."""
    with settings.client() as client:
        move = client.rollback(name, alias, to=to, reason=reason, key=key)
    if settings.json:
        print_json(move)
    else:
        click.echo(f"models:/{name}@{alias}: {moved(move)}, by rollback")


@click.command()
@click.argument("name")
@click.argument("version")
@common
def check(settings: Settings, name: str, version: str) -> int:
    """Load VERSION of model NAME and predict once in a clean process; exit code 1 if that fails."""
    with settings.client() as client:
        found = find_version(client, name, version)
        tried = client.check_version(found)
    if settings.json:
        print_json(tried)
    elif tried.passed:
        rows = f"{tried.facts.get('rows')} rows of {tried.facts.get('rows_from')}"
        click.echo(f"{found.uri} loads and predicts {rows}: {pairs(tried.facts.get('packages', {}))}")
    else:
        click.echo(f"{found.uri} failed: {one_line(tried.error)}")
    return 0 if tried.passed else 1


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--reason", required=True, help=_REASON)
@common
def delete(settings: Settings, name: str, version: str, reason: str) -> None:
    """Hide VERSION of model NAME, unless an alias or a decision refers to it; its number is not used again."""
    with settings.client() as client:
        gone = client.delete_version(find_version(client, name, version), reason=reason)
    if settings.json:
        print_json(gone)
    else:
        click.echo(f"{gone.uri} is deleted. Bring it back: penstock models restore {name} {gone.version} --reason ...")


@click.command()
@click.argument("name")
@click.argument("version")
@click.option("--reason", required=True, help=_REASON)
@common
def restore(settings: Settings, name: str, version: str, reason: str) -> None:
    """Bring back VERSION of model NAME, which was deleted or archived."""
    with settings.client() as client:
        back = client.restore_version(find_version(client, name, version), reason=reason)
    if settings.json:
        print_json(back)
    else:
        click.echo(f"{back.uri} is {back.state.value}")


@click.command()
@click.argument("name")
@click.argument("version")
@click.argument("stage", type=click.Choice(["None", "Staging", "Production", "Archived"], case_sensitive=False))
@click.option("--decision", help="For Staging and Production: the passed decision for the alias of that name.")
@click.option("--reason", default="", help="For Archived and None: why, in words.")
@common
def stage(settings: Settings, name: str, version: str, stage: str, decision: str | None, reason: str) -> None:
    """Bring VERSION of model NAME into STAGE; what was in Production before becomes Archived."""
    from penstock.cli.finding import find_decision
    from penstock.services.stages import HINT

    with settings.client() as client:
        found = find_version(client, name, version)
        by = None if decision is None else find_decision(client, decision)
        now = client.transition_stage(name, found, stage, by, reason=reason)
    if settings.json:
        print_json({"model": name, "version": found.version, "stage": now})
    else:
        click.echo(f"{found.uri} is in {now.value}")
        click.echo(f"{HINT}.", err=True)


@click.command()
@click.argument("name")
@click.argument("alias")
@click.option("--actor", "actors", multiple=True, help="Who may move it; may be given again. None given: anybody.")
@click.option("--lift", is_flag=True, help="Protect it no longer.")
@click.option("--reason", required=True, help=_REASON)
@common
def protect(settings: Settings, name: str, alias: str, actors: tuple[str, ...], lift: bool, reason: str) -> None:
    """Let only a passed gate or a rollback move ALIAS of model NAME, and only by those who are named."""
    if lift and actors:
        raise click.UsageError("--lift takes no --actor.")
    with settings.client() as client:
        if lift:
            made = client.lift_protection(name, alias, reason=reason)
        else:
            made = client.protect_alias(name, alias, actors=actors, reason=reason)
    if settings.json:
        print_json(made)
    elif made.lifted:
        click.echo(f"models:/{name}@{alias} is protected no longer")
    else:
        by = ", ".join(made.actors) or "anybody"
        click.echo(f"models:/{name}@{alias} is moved only through a gate, by {by} (nobody checks who an actor is)")


@click.command()
@click.argument("name")
@click.argument("text")
@click.option("--version", metavar="VERSION", callback=_optional_version, help="One of its versions instead.")
@common
def describe(settings: Settings, name: str, text: str, version: int | None) -> None:
    """Write TEXT as the description of model NAME; an empty one removes it."""
    with settings.client() as client:
        client.describe(name, text, version=version)
        notes = client.notes(name, version=version)
    if settings.json:
        print_json(notes)
    else:
        click.echo(f"{_subject(name, version)} is {'described' if notes.description else 'described no longer'}")


@click.command()
@click.argument("name")
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.option("--version", metavar="VERSION", callback=_optional_version, help="One of its versions instead.")
@common
def tag(settings: Settings, name: str, tags: tuple[str, ...], version: int | None) -> None:
    """Set tags of model NAME; `KEY=` removes one."""
    given = [text.partition("=") for text in tags]
    if not all(equals and key for key, equals, _ in given):
        raise click.UsageError("Tags are given as KEY=VALUE.")
    with settings.client() as client:
        for key, _, value in given:
            if value:
                client.set_tag(name, key, value, version=version)
            else:
                client.remove_tag(name, key, version=version)
        notes = client.notes(name, version=version)
    if settings.json:
        print_json(notes)
    else:
        click.echo(f"{_subject(name, version)}: {pairs(notes.tags) or 'no tags'}")


def _subject(name: str, version: int | None) -> str:
    return name if version is None else f"{name} {version_word(version)}"


COMMANDS = (register, promote, rollback, check, delete, restore, stage, protect, describe, tag)
