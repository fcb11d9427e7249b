"""Names of models and aliases: what could be taken for another name is refused."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidValue
from penstock.model.ids import check_alias_name, check_model_name
from penstock.model.names import check_new_model_name, likeness
from penstock.model.uris import AliasUri, parse_model_uri


@pytest.mark.parametrize(
    "name", ["on-time", "Fraud_v2.1", "0x", "Verspätung", "задержка", "航空便", "遅れモデル", "a" * 250]
)
def test_a_plain_name_in_one_script_is_taken(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "on-time\n",
        "on\x00time",
        "on\u200btime",  # zero width
        "on\u202etime",  # turns the direction of writing
        "on\u00adtime",  # soft hyphen
        "оn-time",  # a Cyrillic o
        "сору",  # all Cyrillic, looks like "copy"
        "ΑΒΕ".lower(),  # all Greek, looks like "abe"
        "ｏｎ-ｔｉｍｅ",  # full width
        "Verspa\u0308tung",  # not NFC
        "model²",
        "model٣",
        "../etc",
        "a/b",
        "a\\b",
        "..",
        "a..b",
        ".hidden",
        "-rf",
        "a@b",
        "a:b",
        "a?b",
        "a%2fb",
        "m-" + "0" * 32,
        "a" * 251,
        None,
        3,
        b"on-time",
    ],
)
def test_a_name_that_could_deceive_is_refused(name: object) -> None:
    with pytest.raises(InvalidValue, match="model name") as refused:
        check_model_name(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v3", "3", "", "a/b", "champion\n", "сhampion", "a@b", None])
def test_an_alias_is_plain_ascii_and_no_version(alias: object) -> None:
    with pytest.raises(InvalidValue, match="alias"):
        check_alias_name(alias)


def test_names_that_print_alike_have_the_same_likeness() -> None:
    assert likeness("On-Time") == likeness("on-time") == likeness("оn-time")
    assert likeness("on-time") != likeness("on_time")


@pytest.mark.parametrize(
    ("twin", "name"),
    [
        ("bɑnk", "bank"), ("ƅank", "bank"), ("ɡate", "gate"), ("lıst", "list"), ("ᴀlpha", "alpha"), ("ᴛᴇᴀᴍ", "team"),
        ("mode1", "model"), ("modeI", "model"), ("l0an", "loan"), ("օհս", "ohu"), ("ꓐꓮꓠꓗ", "bank"), ("ᎪᏢ", "ap"),
        ("ꭺꮲ", "AP"),
    ],
)  # fmt: skip
def test_a_new_name_is_not_taken_for_one_there_is_and_one_in_use_stays_in_use(twin: str, name: str) -> None:
    for new, there in ((twin, name), (name, twin)):
        with pytest.raises(InvalidValue, match="cannot be taken for"):
            check_new_model_name(new, ["other", there])
    check_new_model_name(name, ["other", name, "Verspätung"])
    assert check_model_name(twin) == twin


@pytest.mark.parametrize("name", ["օհս", "ꓐꓮꓠꓗ", "ᎪᏢ"])
def test_a_new_name_wholly_in_foreign_letters_that_look_latin_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="the Latin"):
        check_new_model_name(name, [])


@pytest.mark.parametrize("name", ["kırık", "Verspätung", "Հայաստան", "задержка", "ᏣᎳᎩ", "航空便", "v1.0-2"])
def test_a_new_name_with_no_twin_is_taken(name: str) -> None:
    check_new_model_name(check_model_name(name), ["on-time", "fraud", "v1.0-3"])


@pytest.mark.parametrize("stage", ["Production", "production", "Staging"])
def test_a_stage_in_a_uri_is_the_alias_of_that_name(stage: str) -> None:
    assert parse_model_uri(f"models:/on-time/{stage}") == AliasUri("on-time", stage.title())
