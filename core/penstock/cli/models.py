"""`penstock models`: the registry. Listing and showing is here; changes and the record are in files of their own."""

from __future__ import annotations

import click

from penstock.cli import model_changes, model_record, probation
from penstock.cli.model_words import authorized_by, find_model, whys_of
from penstock.cli.output import add_row, cell, facts, heading, new_table, page_width, plain, print_json, show
from penstock.cli.overriding import overridden_aliases
from penstock.cli.probation import in_words
from penstock.cli.settings import Settings, common
from penstock.cli.words import NOTHING, one_line, short, version, when, who

WITH_IDS, WITH_REASONS = 110, 120
TABLE_ROWS = 50
LIMIT = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    help=f"At most so many, the newest; else {TABLE_ROWS} in a table, and all with --json.",
)


@click.group()
def models() -> None:
    """Look into the registry; register and promote models."""


@models.command("list")
@common
def list_command(settings: Settings) -> None:
    """List the registered models and where their aliases point."""
    with settings.client() as client:
        found = client.list_models()
        overridden, ungated = overridden_aliases(client), client.ungated_models()
    if settings.json:
        print_json([{**plain(model), "ungated": ungated.get(model.name)} for model in found])
    elif not found:
        click.echo("No models are registered yet.")
    else:
        table = new_table("model", "latest", "aliases", "first registered (UTC)")
        for model in found:
            aliases = ", ".join(
                f"{alias} → {version(to)}{' (override)' if (model.name, alias) in overridden else ''}"
                for alias, to in sorted(model.aliases.items())
            )
            name = f"{model.name} (ungated)" if model.name in ungated else model.name
            add_row(table, name, version(model.latest_version), aliases or NOTHING, when(model.created_at))
        show(table)


@models.command("show")
@click.argument("name")
@click.option("--deleted", is_flag=True, help="Show deleted versions, too.")
@LIMIT
@common
def show_command(settings: Settings, name: str, deleted: bool, limit: int | None) -> None:
    """Show model NAME and its versions, newest first: where each stands, what authorized it, whether it loads."""
    with settings.client() as client:
        model = find_model(client, name)
        there = client.list_versions(name, deleted=deleted)
        versions = there[: _rows(settings, limit)]
        notes, protections, stages = client.notes(name), client.alias_protections(name), client.stages(name)
        checks = client.last_load_checks(name, since=versions[-1].version) if versions else {}
        ungated = client.ungated_models().get(name)
        on_probation = [one for one in client.list_probations(name) if one.open]
    if settings.json:
        described: dict[str, object] = {"description": notes.description, "tags": notes.tags, "protected": protections}
        described |= {"ungated": ungated, "probations": on_probation}
        print_json({"model": model, "versions": versions, "stages": stages, "load_checks": checks, **described})
        return
    guarded = (f"{alias} (by {', '.join(held.actors) or 'anybody'})" for alias, held in sorted(protections.items()))
    tags = ", ".join(f"{tag}={one_line(text)}" for tag, text in notes.tags.items())
    said = "" if ungated is None else f"since {when(ungated.declared_at)}, by {who(ungated.actor)}: {ungated.reason}"
    about = {"description": notes.description, "tags": tags, "protected": ", ".join(guarded), "ungated": one_line(said)}
    about["on probation"] = "; ".join(f"{one.alias} → {version(one.version)} {in_words(one)}" for one in on_probation)
    if any(about.values()):
        show(facts(about), cell(""))
    if len(there) > len(versions):
        click.echo(f"The newest {len(versions):,} of {len(there):,} versions; --limit shows more.\n")
    staged = any(stage.value != "None" for stage in stages.values()) or any(v.state.value != "active" for v in versions)
    wide = page_width() >= WITH_IDS  # a narrow page has no room for ids; lineage shows them
    columns = ["version", "aliases", *(["stage"] if staged else []), "registered (UTC)", "authorized by", "loads"]
    table = new_table(*columns, *(["run", "payload"] if wide else []), prose=["authorized by"])
    for found in versions:
        aliases = ", ".join(sorted(alias for alias, to in model.aliases.items() if to == found.version))
        stage = stages[found.version].value if found.version in stages else found.state.value
        add_row(
            table,
            version(found.version),
            cell(aliases or NOTHING, "bold" if aliases else ""),
            *([stage] if staged else []),
            when(found.created_at),
            authorized_by(found.authorization),
            ("yes" if checks[found.version].passed else "no") if found.version in checks else "not tried",
            *([short(found.run_id), short(found.payload_digest)] if wide else []),
        )
    show(table)


@models.command()
@click.argument("name")
@click.option("--alias", help="Only the moves of this alias.")
@LIMIT
@common
def history(settings: Settings, name: str, alias: str | None, limit: int | None) -> None:
    """Show every move of the aliases of model NAME, newest last: who moved it, and why it was allowed."""
    with settings.client() as client:
        find_model(client, name)
        moves = client.alias_history(name, alias=alias, limit=_rows(settings, limit))
        reasons = [] if settings.json else whys_of(client, [move.authorization for move in moves])
        made = client.count_alias_moves(name, alias)
        probations = {(one.alias, one.generation): one for one in client.list_probations(name)}
    if settings.json:
        print_json([{**plain(move), "probation": probations.get((move.alias, move.generation))} for move in moves])
    elif not moves:
        click.echo(f"{'No alias' if alias is None else alias} of {name} has {'not ' if alias else ''}been set yet.")
    else:
        if made > len(moves):
            click.echo(f"The last {len(moves):,} of {made:,} moves; --limit shows more.\n")
        wide = page_width() >= WITH_REASONS  # on a narrow page they would be a column of single letters
        columns = ["when (UTC)", "alias", "move", "gen.", "who", "decision", *(["why"] if wide else [])]
        table, whys = new_table(*columns, numbers=["gen."], prose=["why"]), dict[str, str]()
        for move, reason in zip(moves, reasons, strict=True):
            by, on = move.authorization, probations.get((move.alias, move.generation))
            why = reason if on is None else f"{reason}; on probation: {in_words(on)}"
            whys[f"{move.alias} {move.generation}"] = why
            add_row(
                table,
                when(move.moved_at),
                move.alias,
                f"{version(move.from_version)} → {version(move.to_version)}",
                move.generation,
                who(move.moved_by),
                short(by.decision_id) if by.decision_id else by.kind.value,
                *([why] if wide else []),
            )
        show(table)
        if not wide:
            show(heading("Why, by alias and generation"), facts(whys))


def _rows(settings: Settings, limit: int | None) -> int | None:
    return TABLE_ROWS if limit is None and not settings.json else limit


for command in (*model_record.COMMANDS, *model_changes.COMMANDS, *probation.COMMANDS):
    models.add_command(command)
