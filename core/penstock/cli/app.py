"""The command line as a whole: global options, the nouns, and what every failure looks like.

Exit codes: 0 done (a gate: PASS), 1 the answer is no (a gate: FAIL; a refused change; a broken ledger), 2 wrong usage
or something named that is not there, 3 a gate was INCONCLUSIVE, 4 a passing fault (try again), 130 Ctrl-C, 141 the
reader of the output has gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from penstock._version import __version__
from penstock.cli import (
    approvals,
    artifacts,
    data,
    db,
    evaluate,
    events,
    gate,
    gc,
    ledger,
    models,
    report,
    runs,
    verify,
)
from penstock.cli.settings import Settings
from penstock.cli.words import one_line
from penstock.errors import Conflict, Corrupted, GateBlocked, LoadCheckFailed, NotAuthorized, PenstockError, Transient

INTERRUPTED, OUTPUT_CLOSED = 130, 141
REFUSALS = (Conflict, Corrupted, GateBlocked, LoadCheckFailed, NotAuthorized)


class Penstock(click.Group):
    """The root group: a failure is one sentence on stderr and an exit code, never a traceback."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the arguments; the help is printed here, too."""
        _never_fail_to_encode()
        with _failures_as_exit_codes():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an int it returns is the exit code."""
        with _failures_as_exit_codes():
            code = super().invoke(ctx)
            sys.stdout.flush()
            ctx.exit(code or 0)


@contextmanager
def _failures_as_exit_codes() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        _forget_output()
        raise click.exceptions.Exit(OUTPUT_CLOSED) from error
    except KeyboardInterrupt as error:
        _forget_output()
        raise click.exceptions.Exit(INTERRUPTED) from error
    except PenstockError as error:
        raise _said(str(error), _exit_code(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise _said(f"{where}{error.strerror or error}", 2) from error


def _exit_code(error: PenstockError) -> int:
    if isinstance(error, Transient):
        return 4
    # A CI job must be able to tell a gate's "no" from a question that could not be asked.
    return 1 if isinstance(error, REFUSALS) else 2


def _said(sentence: str, code: int) -> click.exceptions.Exit:
    with suppress(BrokenPipeError):
        click.echo(f"penstock: {one_line(sentence)}", err=True)
    return click.exceptions.Exit(code)


def _forget_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush does not complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _never_fail_to_encode() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@click.group(cls=Penstock, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", envvar="PENSTOCK_URL", show_envvar=True, help="The store, e.g. sqlite:///penstock.db.")
@click.option("--artifacts", envvar="PENSTOCK_ARTIFACTS", show_envvar=True, help="The folder that holds the bytes.")
@click.version_option(__version__, prog_name="penstock")
@click.pass_context
def app(ctx: click.Context, url: str | None, artifacts: str | None) -> None:
    """Runs, evaluations, gates and models on record.

    Ids may be cut short to their first 6 characters or more. Every command takes --json.
    """
    ctx.obj = Settings(url, artifacts)


for noun in (
    runs.runs,
    models.models,
    gate.gate,
    approvals.approvals,
    evaluate.evaluate,
    data.data,
    report.report,
    ledger.ledger,
    events.events,
    verify.verify,
    gc.gc,
    artifacts.artifacts,
    db.db,
):
    app.add_command(noun)
