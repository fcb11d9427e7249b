"""`penstock gate`: what a policy asserts, deciding under it, and why a decision was what it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli import overriding
from penstock.cli.output import add_row, cell, heading, new_table, page_width, print_json, show, word
from penstock.cli.settings import Settings, common
from penstock.cli.words import NOTHING, clean, indented, plural, short, when, who
from penstock.model.approvals import ApprovalState
from penstock.model.decisions import Verdict

if TYPE_CHECKING:
    from penstock.model.policies import GatePolicy

EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}
TEXT_WIDTH = 100


@click.group()
def gate() -> None:
    """Check a policy, decide under it, explain and replay decisions, override the gate on record."""


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
@common
def schema(settings: Settings) -> None:
    """Print the policy language as a JSON Schema, for editors. With or without --json it is JSON."""
    from penstock.policies.schema import policy_schema

    print_json(policy_schema())


@gate.command()
@click.argument("evaluation")
@click.option("--policy", required=True, type=click.Path(exists=True, dir_okay=False), help="The policy file.")
@click.option("--model", required=True, help="The registered model it is about.")
@click.option("--alias", default="champion", show_default=True, help="The alias that may move if it passes.")
@click.option("--dry-run", is_flag=True, help="Decide nothing; it shows numbers, so it is a look on record.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit XML report for CI, too.")
@common
def decide(
    settings: Settings, evaluation: str, policy: str, model: str, alias: str, dry_run: bool, junit: Path | None
) -> int:
    """Apply a policy to EVALUATION. Exit code 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE."""
    from penstock.cli.finding import find_evaluation
    from penstock.cli.judgements import draw_decision, draw_dry_run

    with settings.client() as client:
        measured, approval = find_evaluation(client, evaluation), None
        if dry_run:
            decision = client.dry_run(measured, policy, model=model, alias=alias)
        else:
            decision = client.decide(measured, policy, model=model, alias=alias)
            approval = client.find_approval(decision) if decision.verdict is Verdict.INCONCLUSIVE else None
        if junit is not None:
            junit.write_text(client.explain(decision, "junit"), encoding="utf-8")
    if settings.json:
        print_json(decision)
    elif dry_run:
        show(*draw_dry_run(decision))
    else:
        show(*draw_decision(decision))
        if approval is not None and approval.state is ApprovalState.PENDING:
            show(cell(f"\nA person is asked. Next: penstock approvals show {short(approval.request.request_id)}"))
    return EXIT_CODES[decision.verdict]


@gate.command()
@click.argument("decision")
@click.option("--short", "form", flag_value="short", help="A few lines, for a chat message.")
@click.option("--html", "form", flag_value="html", help="A part of an HTML page.")
@click.option("--junit", "form", flag_value="junit", help="A JUnit XML report.")
@common
def explain(settings: Settings, decision: str, form: str | None) -> None:
    """Say why DECISION (an id, or its first 6 characters or more) was what it was, and what it binds."""
    from penstock.cli.finding import find_decision
    from penstock.cli.judgements import draw_bindings, draw_decision, draw_flip, draw_numbers

    with settings.client() as client:
        found = client.get_decision(find_decision(client, decision))
        text = client.explain(found, form) if form is not None else ""
    if settings.json:
        print_json({form: text} if form is not None else found)
    elif form is not None:
        click.echo(text.rstrip("\n") if form != "short" else clean(text))
    else:
        drawn = (draw_decision(found, parts=True), draw_numbers(found), draw_flip(found), draw_bindings(found))
        show(*(part for parts in drawn for part in parts))


@gate.command()
@click.argument("decision")
@common
def replay(settings: Settings, decision: str) -> int:
    """Recompute DECISION from its own record. Exit code 1 if it comes out differently than it was recorded."""
    from penstock.cli.finding import find_decision

    with settings.client() as client:
        found = client.replay(find_decision(client, decision))
    if settings.json:
        print_json(found)
    elif found.identical:
        click.echo(f"{found.verdict.value}: recomputed from its own record, exactly as it was recorded.")
    else:
        click.echo(f"Recorded {found.recorded.value}, recomputed {found.verdict.value}: this is not what was written.")
    return 0 if found.identical else 1


@gate.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False))
@click.argument("new", type=click.Path(exists=True, dir_okay=False))
@click.option("--model", help="Only decisions about this model.")
@click.option("--any-policy", is_flag=True, help="All decisions, not only those made under a policy of OLD's name.")
@common
def diff(settings: Settings, old: str, new: str, model: str | None, any_policy: bool) -> None:
    """Say which past decisions would have come out differently under NEW than under OLD, and why. Writes nothing."""
    from penstock.cli.judgements import draw_diff

    with settings.client() as client:
        found = client.diff_policies(old, new, model=model, of_any_policy=any_policy)
    if settings.json:
        print_json(found.to_json())
    else:
        show(*draw_diff(found))


@gate.command()
@click.argument("model")
@common
def looks(settings: Settings, model: str) -> None:
    """List every time numbers of MODEL's candidates were seen: decisions and dry runs, and what they spent."""
    with settings.client() as client:
        found = client.list_looks(model)
    if settings.json:
        print_json(found)
        return
    if not found:
        click.echo(f"Nobody has looked at a candidate of {model} yet.")
        return
    counts = ["entry", "look", "on these rows", "alpha"]
    table = new_table(*counts, "how", "verdict", "evaluation", "by", "when (UTC)", numbers=counts)
    for look in found:
        spent = NOTHING if look.alpha is None else f"{look.alpha:.4g}"
        verdict = word(look.verdict)
        row = (look.sequence, look.number, look.set_number, spent, look.kind.value.replace("_", " "), verdict)
        add_row(table, *row, short(look.evaluation_id), who(look.actor), when(look.at))
    show(table)


for command in (overriding.override, overriding.overrides, overriding.anchor):
    gate.add_command(command)


def _say(policy: GatePolicy) -> None:
    from penstock.cli.policy_words import NO_BASELINE, budget_in_words, in_words

    count = plural(len(policy.rules), "rule")
    show(cell(f"{policy.name}: a sound policy of {count}, digest {short(policy.digest)}", "bold"))
    show(heading("The gate opens only if"))
    width = min(page_width(), TEXT_WIDTH)
    for place, rule in enumerate(policy.rules, 1):
        text = indented(in_words(rule, policy.confidence), width, "     ")
        click.echo(f"{place:3}. {text[5:]}")
    click.echo()
    if policy.budget is not None:
        click.echo(indented(f"Budget: {budget_in_words(policy.budget)}.", width, ""))
    click.echo(indented(f"While there is no baseline yet: {NO_BASELINE[policy.when_no_baseline]}.", width, ""))
