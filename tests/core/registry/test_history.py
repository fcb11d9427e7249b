"""Which version was live then, what led to it, and which versions came of some data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from penstock.errors import InvalidValue, NotFound
from tests import tiny
from tests.core.registry.conftest import Shop


def test_where_an_alias_pointed_is_answered_for_any_moment(shop: Shop) -> None:
    moves = shop.client.alias_history(tiny.MODEL)
    times = [move.moved_at for move in moves if move.moved_at is not None]
    for move, at in zip(moves, times, strict=True):
        assert shop.client.as_of(tiny.MODEL, "champion", at) == move
        elsewhere = at.astimezone(timezone(timedelta(hours=5, minutes=30)))
        assert shop.client.as_of(tiny.MODEL, "champion", elsewhere) == move
    assert shop.client.as_of(tiny.MODEL, "champion", times[1] - timedelta(milliseconds=1)) == moves[0]
    assert shop.client.as_of(tiny.MODEL, "champion", datetime(2999, 1, 1, tzinfo=UTC)) == moves[-1]
    with pytest.raises(NotFound, match="It was first set on"):
        shop.client.as_of(tiny.MODEL, "champion", times[0] - timedelta(milliseconds=1))
    with pytest.raises(NotFound, match="It was never set"):
        shop.client.as_of(tiny.MODEL, "challenger", times[0])
    for naive in (datetime(2024, 3, 3), "2024-03-03"):  # noqa: DTZ001 - that is the point
        with pytest.raises(InvalidValue, match="time zone"):
            shop.client.as_of(tiny.MODEL, "champion", naive)  # type: ignore[arg-type]


def test_a_versions_lineage_names_run_code_data_evaluation_decision_and_checks(shop: Shop) -> None:
    found = shop.client.lineage(tiny.MODEL, 2)
    assert found == shop.client.lineage(found.version) == shop.client.lineage(found.version.ref)
    assert found.run.run.run_id == found.version.run_id
    assert found.decision is not None
    assert found.evaluation is not None
    assert found.decision.decision_id == found.version.authorization.decision_id
    assert found.evaluation.evaluation_id == found.decision.evaluation_id
    assert list(found.training_data) == ["benign-train"]
    assert set(found.code) >= {"entry_point"}
    assert [check.passed for check in found.checks] == [True]
    assert (found.aliases, [move.to_version for move in found.moves]) == ((), [2])
    assert shop.client.lineage(tiny.MODEL, 3).aliases == ("champion",)


def test_from_data_to_the_versions_that_were_trained_on_it_and_back(shop: Shop) -> None:
    (digest,) = shop.client.lineage(tiny.MODEL, 1).training_data.values()
    assert [version.version for version in shop.client.versions_trained_on(digest)] == [1, 2, 3]
    (data,) = (data for data in shop.client.lineage(tiny.MODEL, 1).run.inputs if data.role == "train")
    assert len(shop.client.versions_trained_on(data)) == 3
    evaluation = shop.client.lineage(tiny.MODEL, 1).evaluation
    assert evaluation is not None
    assert shop.client.versions_trained_on(evaluation.dataset) == []
    with pytest.raises(InvalidValue, match="digest"):
        shop.client.versions_trained_on("")
