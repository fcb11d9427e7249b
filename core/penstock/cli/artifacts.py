"""`penstock artifacts`: the bytes as they are stored."""

from __future__ import annotations

import re

import click

from penstock.cli.output import print_json
from penstock.cli.settings import Settings, common
from penstock.cli.words import clean, plural

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _age_s(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not an age: a number and s, m, h or d, such as 90m or 24h.")
    return int(found[1]) * _UNITS_S[found[2]]


@click.group()
def artifacts() -> None:
    """Look after stored bytes."""


@artifacts.command()
@click.option("--older-than", default="24h", show_default=True, callback=_age_s, help="A number and s, m, h or d.")
@common
def sweep(settings: Settings, older_than: int) -> None:
    """Remove what interrupted uploads have left behind; never an object.

    An upload that is still at work on something older than that begins anew or fails: choose longer than any takes.
    """
    with settings.client() as client:
        removed = client.wiring.artifacts.sweep_incoming(older_than)
        location = client.artifact_location
    if settings.json:
        print_json(removed)
        return
    for name in removed:
        click.echo(clean(name))
    click.echo(f"{plural(len(removed), 'interrupted upload')} removed from {clean(location)}.")
