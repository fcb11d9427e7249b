"""Descriptions and tags of models and versions."""

from __future__ import annotations

from penstock.model.ids import check_metric_name, check_model_name
from penstock.model.notes import DESCRIPTION, Note, Notes, check_text
from penstock.services.wiring import Wiring


def describe(wiring: Wiring, name: str, text: str, version: int | None = None) -> None:
    """Write a model's description, or one of its versions'; an empty one removes it."""
    _write(wiring, name, version, DESCRIPTION, check_text("description", text) or None)


def set_tag(wiring: Wiring, name: str, tag: str, text: str | None, version: int | None = None) -> None:
    """Set a tag of a model or of one of its versions; `text` None removes it."""
    check_metric_name(tag)
    _write(wiring, name, version, tag, None if text is None else check_text(f"tag {tag!r}", text))


def get_notes(wiring: Wiring, name: str, version: int | None = None) -> Notes:
    """Return the description and tags of a model or of one of its versions."""
    return Notes.of(wiring.store.list_notes(check_model_name(name), version))


def _write(wiring: Wiring, name: str, version: int | None, tag: str, text: str | None) -> None:
    wiring.store.write_note(Note(check_model_name(name), version, tag, text, wiring.actor.to_json()))
