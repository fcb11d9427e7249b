"""`penstock gate`: what a policy asserts, deciding under it, and why a decision was what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock.cli.output import cell, heading, page_width, print_json, show
from penstock.cli.settings import Settings, common
from penstock.cli.words import indented, plural, short
from penstock.model.decisions import Verdict

if TYPE_CHECKING:
    from penstock.model.policies import GatePolicy

EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}
TEXT_WIDTH = 100


@click.group()
def gate() -> None:
    """Check a policy, decide under it, explain a decision."""


@gate.command()
@click.argument("policy", type=click.Path(exists=True, dir_okay=False))
@common
def check(settings: Settings, policy: str) -> None:
    """Check the file POLICY and say its rules in words; exit code 2 if it could open a gate by accident."""
    from penstock.policies.loading import load_policy

    found = load_policy(policy)
    if settings.json:
        print_json({**found.to_json(), "digest": found.digest})
    else:
        _say(found)


@gate.command()
@click.argument("evaluation")
@click.option("--policy", required=True, type=click.Path(exists=True, dir_okay=False), help="The policy file.")
@click.option("--model", required=True, help="The registered model it is about.")
@click.option("--alias", default="champion", show_default=True, help="The alias that may move if it passes.")
@common
def decide(settings: Settings, evaluation: str, policy: str, model: str, alias: str) -> int:
    """Apply a policy to EVALUATION. Exit code 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE."""
    from penstock.cli.finding import find_evaluation
    from penstock.cli.judgements import draw_decision

    with settings.client() as client:
        decision = client.decide(find_evaluation(client, evaluation), policy, model=model, alias=alias)
    if settings.json:
        print_json(decision)
    else:
        show(*draw_decision(decision))
    return EXIT_CODES[decision.verdict]


@gate.command()
@click.argument("decision")
@common
def explain(settings: Settings, decision: str) -> None:
    """Say why DECISION (an id, or its first 6 characters or more) was what it was, and what it binds."""
    from penstock.cli.finding import find_decision
    from penstock.cli.judgements import draw_bindings, draw_decision

    with settings.client() as client:
        found = client.get_decision(find_decision(client, decision))
    if settings.json:
        print_json(found)
    else:
        show(*draw_decision(found, parts=True), *draw_bindings(found))


def _say(policy: GatePolicy) -> None:
    from penstock.cli.policy_words import NO_BASELINE, in_words

    count = plural(len(policy.rules), "rule")
    show(cell(f"{policy.name}: a sound policy of {count}, digest {short(policy.digest)}", "bold"))
    show(heading("The gate opens only if"))
    width = min(page_width(), TEXT_WIDTH)
    for place, rule in enumerate(policy.rules, 1):
        text = indented(in_words(rule), width, "     ")
        click.echo(f"{place:3}. {text[5:]}")
    click.echo()
    click.echo(indented(f"While there is no baseline yet: {NO_BASELINE[policy.when_no_baseline]}.", width, ""))
