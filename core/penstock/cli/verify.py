"""`penstock verify`: whether everything in the store is as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from penstock.cli.output import add_row, new_table, print_json, show
from penstock.cli.settings import Settings, common
from penstock.cli.words import plural
from penstock.errors import InvalidValue, NotFound


@click.command(short_help="Check the store against its own ledger, and every byte.")
@click.option("--anchor", type=click.Path(dir_okay=False, path_type=Path), help="What 'penstock db anchor' wrote.")
@click.option("--no-bytes", is_flag=True, help="Check the records only; do not read the versions' files.")
@common
def verify(settings: Settings, anchor: Path | None, no_bytes: bool) -> int:
    """Check the store against its own ledger and read every file of every version. Reads only.

    Exit code 1 if anything is not as it was written.
    """
    anchored = None if anchor is None else _read(anchor)
    with settings.client() as client:
        findings = list(client.verify(anchored, read_bytes=not no_bytes))
    if settings.json:
        print_json(findings)
    elif findings:
        table = new_table("check", "what", "problem", prose=["problem"])
        for finding in findings:
            add_row(table, finding.check, finding.subject, finding.problem)
        show(table)
        click.echo(f"\n{plural(len(findings), 'finding')}: the store is not as it was written.")
    else:
        read = "records only" if no_bytes else "records and bytes"
        anchors = "" if anchor is None else f", and as {anchor} remembers it"
        click.echo(f"Everything is as it was written ({read}){anchors}.")
    return 1 if findings else 0


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise NotFound("anchor", path, "Write one with: penstock db anchor FILE") from error
    except ValueError as error:
        raise InvalidValue("anchor", str(path), "what 'penstock db anchor' wrote", str(error)) from error
