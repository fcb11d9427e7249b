"""`penstock verify`: whether everything in the store is as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penstock.cli.settings import Settings, common
from penstock.cli.words import one_line, plural
from penstock.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from penstock.services.verification import Finding


@click.command(short_help="Check the store against its own ledger, and every byte.")
@click.option("--anchor", type=click.Path(dir_okay=False, path_type=Path), help="What 'penstock db anchor' wrote.")
@click.option("--no-bytes", is_flag=True, help="Check the records only; do not read files.")
@common
def verify(settings: Settings, anchor: Path | None, no_bytes: bool) -> int:
    """Check the store against its own ledger and read every stored file that a record refers to. Reads only.

    Exit code 1 if anything is not as it was written.
    """
    anchored = None if anchor is None else _read(anchor)
    with settings.client() as client:
        findings = client.verify(anchored, read_bytes=not no_bytes)
        count = _print_array(findings) if settings.json else _print_lines(findings)
    if settings.json:
        return 1 if count else 0
    if count:
        click.echo(f"\n{plural(count, 'finding')}: the store is not as it was written.")
    else:
        read = "records only" if no_bytes else "records and bytes"
        anchors = "" if anchor is None else f", and as {anchor} remembers it"
        click.echo(f"Everything is as it was written ({read}){anchors}.")
    return 1 if count else 0


def _print_array(findings: Iterable[Finding]) -> int:
    """Print a JSON array, each finding on a line of its own as soon as it is found; return how many there were."""
    count = 0
    for finding in findings:
        count += 1
        click.echo(("[\n" if count == 1 else ",\n") + json.dumps(asdict(finding)), nl=False)
    click.echo("\n]" if count else "[]")
    return count


def _print_lines(findings: Iterable[Finding]) -> int:
    count = 0
    for finding in findings:
        count += 1
        click.echo(f"{click.style(finding.check, bold=True)}  {one_line(finding.subject)}: {one_line(finding.problem)}")
    return count


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise NotFound("anchor", path, "Write one with: penstock db anchor FILE") from error
    except ValueError as error:
        raise InvalidValue("anchor", str(path), "what 'penstock db anchor' wrote", str(error)) from error
