"""Overrides: a person, a reason, an end; one registration and one move of each alias, of exactly these bytes."""

from __future__ import annotations

import pytest

import penstock
from penstock.errors import Conflict, InvalidValue, NotAuthorized, NotFound
from penstock.model.versions import AuthorizationKind
from tests.core.gates_on_record.stage import ALIAS, MODEL, kinds, loads, released, trained

WHY = "the old model is broken and the gate's data is late"


def test_an_override_lets_one_model_in_and_says_so_for_ever(client: penstock.Client, vera: penstock.Client) -> None:
    model = trained(client, "a")
    override = vera.override(MODEL, model.uri, reason=f" {WHY} ")
    assert vera.override(MODEL, model.uri, reason=WHY) == override
    for _ in range(2):
        version = loads(client, client.register(MODEL, model, override))
        move = client.promote(MODEL, ALIAS, version, override.ref)
    assert (version.version, move.to_version, move.generation) == (1, 1, 1)
    assert version.authorization.kind is AuthorizationKind.OVERRIDE
    assert (version.authorization.reason, version.authorization.actor["subject"]) == (WHY, "vera")
    (found,) = client.list_overrides(MODEL)
    assert (found.version, found.moved, found.override_id) == (1, (ALIAS,), override.override_id)
    assert kinds(client) == ["override_given", "version_registered", "version_checked", "alias_moved"]
    event = next(iter(client.read_ledger(model=MODEL)))
    assert (event.actor["subject"], event.why, event.after["aliases"]) == ("vera", WHY, {ALIAS: 0})


def test_an_override_is_used_up_and_covers_no_other_model_version_or_alias(
    client: penstock.Client, vera: penstock.Client
) -> None:
    model, other = trained(client, "a"), trained(client, "b")
    first = released(client, "live")
    override = vera.override(MODEL, model, reason=WHY)
    with pytest.raises(NotAuthorized, match="given for another artifact"):
        client.register(MODEL, other, override)
    with pytest.raises(NotAuthorized, match="given for model 'on-time'"):
        client.register("late", model, override)
    version = loads(client, client.register(MODEL, model, override))
    with pytest.raises(NotAuthorized, match="does not name alias 'staging'"):
        client.promote(MODEL, "staging", version, override)
    with pytest.raises(NotAuthorized, match="another artifact"):
        client.promote(MODEL, ALIAS, first, override)
    client.promote(MODEL, ALIAS, version, override)
    with pytest.raises(NotAuthorized, match="used to move it to version 2"):
        client.promote(MODEL, ALIAS, first, override)
    assert client.wiring.store.find_alias(MODEL, ALIAS).version == 2  # type: ignore[union-attr]


def test_an_override_that_has_expired_does_nothing_and_can_be_given_again(
    client: penstock.Client, vera: penstock.Client
) -> None:
    model = trained(client, "a")
    late = vera.override(MODEL, model, reason=WHY, expires_hours=1e-7)
    before = kinds(client)
    with pytest.raises(NotAuthorized, match=r"the override expired on 20.* UTC\. Give another"):
        client.register(MODEL, model, late)
    assert (client.list_models(), kinds(client)) == ([], before)
    again = vera.override(MODEL, model, reason=WHY)
    assert again.override_id != late.override_id
    assert client.register(MODEL, model, again).version == 1


def test_an_override_comes_too_late_once_the_alias_has_moved(client: penstock.Client, vera: penstock.Client) -> None:
    model = trained(client, "a")
    override = vera.override(MODEL, model, reason=WHY)
    version = loads(client, client.register(MODEL, model, override))
    released(client, "b")
    with pytest.raises(Conflict, match="version 2, generation 1"):
        client.promote(MODEL, ALIAS, version, override)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reason": " "}, "why the gate is overridden"),
        ({"expires_hours": 0}, "more than 0"),
        ({"expires_hours": 10_000}, "at most 744 hours"),
        ({"expires_hours": float("nan")}, "more than 0"),
        ({"expires_hours": True}, "a number of hours"),
        ({"aliases": "champion"}, "a list of alias names"),
        ({"aliases": ["latest"]}, "neither 'latest'"),
    ],
)
def test_an_override_needs_a_reason_an_end_and_names(
    client: penstock.Client, wrong: dict[str, object], message: str
) -> None:
    given = {"reason": WHY, **wrong}
    with pytest.raises(InvalidValue, match=message):
        client.override(MODEL, trained(client, "a"), **given)  # type: ignore[arg-type]
    assert client.list_overrides() == []


def test_an_override_of_something_that_is_not_there_is_refused(client: penstock.Client) -> None:
    with pytest.raises(NotFound):
        client.override(MODEL, f"runs:/{'0' * 32}/model", reason=WHY)
    with pytest.raises(NotFound, match="override"):
        client.register(MODEL, trained(client, "a"), {"override_id": "f" * 32})
