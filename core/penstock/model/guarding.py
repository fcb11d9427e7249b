"""What is in use is not deleted: every refusal names who refers to it."""

from __future__ import annotations

from penstock.errors import Conflict
from penstock.model.runs import Run


def referred_to(kind: str, name: str, by: str, hint: str = "") -> Conflict:
    """Return the refusal to delete what something refers to."""
    return Conflict(kind, name, "nothing that refers to it", by, hint)


def in_use_by_alias(uri: str, alias: str) -> Conflict:
    """Return the refusal to archive or delete a version that an alias points to."""
    return referred_to("model version", uri, f"alias {alias!r}, which points to it", "Move the alias first")


def compared_with(uri: str, decision_id: str) -> Conflict:
    """Return the refusal to delete a version that a decision compares with."""
    hint = "What a decision rests on stays; archive the version instead"
    return referred_to("model version", uri, f"decision {decision_id}, which compares with it", hint)


def registered_as(kind: str, name: str, version_uri: str) -> Conflict:
    """Return the refusal to delete what a version is made of."""
    return referred_to(kind, name, f"version {version_uri}, which was registered from it")


def judged_by(kind: str, name: str, decision_id: str) -> Conflict:
    """Return the refusal to delete what a decision judged."""
    return referred_to(kind, name, f"decision {decision_id}, which judged it")


def still_running(run_id: str) -> Conflict:
    """Return the refusal to delete a run that has not ended."""
    return Conflict("run", run_id, "a run that has ended", "one that is running", "Close it first")


def deleted_run(run_id: str) -> Conflict:
    """Return the refusal to work in a run that was deleted."""
    hint = f"Restore it first: penstock runs restore {run_id}"
    return Conflict("run", run_id, "a run that has not been deleted", "a deleted one", hint)


def purged_run(run_id: str) -> Conflict:
    """Return the refusal to restore or work in a run whose contents were collected."""
    hint = "It does not come back: open a run with another key"
    return Conflict("run", run_id, "a run with its contents", "one whose contents were collected (penstock gc)", hint)


def gone_run(run: Run) -> Conflict:
    """Return the refusal to work in a run that was deleted, or whose contents were collected."""
    return purged_run(run.run_id) if run.purged else deleted_run(run.run_id)


def purged_model(uri: str) -> Conflict:
    """Return the refusal to restore or log again a model whose files were collected."""
    hint = "It does not come back: log it in another run or under another name"
    return Conflict("logged model", uri, "a model with its files", "one whose files were collected (penstock gc)", hint)


def deleted_model(uri: str) -> Conflict:
    """Return the refusal to register a logged model that was deleted."""
    hint = "Restore it first: client.restore_model(...)"
    return Conflict("logged model", uri, "a model that has not been deleted", "a deleted one", hint)
