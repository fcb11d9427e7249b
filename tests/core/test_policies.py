"""Bad policies are refused with the place and a way out; good ones mean the same however they are written."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import InvalidPolicy, InvalidValue, NotFound
from penstock.model.policies import AtLeast, EverySlice, GatePolicy, NoWorseThan, Rule, WhenNoBaseline
from penstock.policies.loading import load_policy

FULL = """\
# what an on-time model must show
name: on-time
when_no_baseline: pass
rules:
  - at_least: {metric: roc_auc, value: 0.65}
  - at_most: {metric: brier_score, value: 2e-1}
  - between: {metric: positive_rate, min: 0.05, max: .5}
  - no_worse_than: {baseline: champion, metric: roc_auc, margin: 0.005}
  - no_worse_than: {baseline: champion, metric: roc_auc, margin_percent: 1}
  - better_than: {baseline: champion, metric: log_loss, by: 0.0}
  - not_suspiciously_better_than: {baseline: champion, metric: roc_auc, by: 0.1}
  - every_slice: {by: origin, min_rows: 500, rule: {at_least: {metric: roc_auc, value: 0.6}}}
  - held_out: {min_rows: 1000, not_training_data: true}
  - requires: {signature: true, input_example: true, tags: [owner], max_size_mb: 50}
  - any_of: [{at_least: {metric: f1, value: 0.5}}, {at_least: {metric: recall, value: 0.5}}]
  - all_of:
      - at_least: {metric: matthews_corrcoef, value: -0.5}
"""
GOOD_RULE = "  - at_least: {metric: roc_auc, value: 0.65}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def to_file(text: str | bytes, name: str = "policy.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def policy_data(rule: object, /, **more: object) -> dict[str, Any]:
    return {"name": "p", "rules": [rule], **more}


def test_a_policy_with_every_rule_loads_and_reads_back_equal(write: Callable[..., Path]) -> None:
    policy = load_policy(write(FULL))

    assert policy.text == FULL
    assert policy.when_no_baseline is WhenNoBaseline.PASS
    assert len(policy.rules) == 12
    again = GatePolicy.from_data(json.loads(json.dumps(policy.to_json())), policy.text)
    assert again == policy
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_yaml_json_toml_data_and_python_mean_the_same_policy(write: Callable[..., Path]) -> None:
    toml = 'name = "p"\n[[rules]]\nat_least = {metric = "roc_auc", value = 1}\n'
    data = policy_data({"at_least": {"metric": "roc_auc", "value": 1}})
    yaml = "rules:\n- at_least:\n    value: 1.0 # all of it\n    metric: roc_auc\nname: p\n"
    policies = [
        load_policy(write(yaml, "p.yml")),
        load_policy(str(write(json.dumps(data), "p.JSON"))),
        load_policy(write(toml, "p.toml")),
        load_policy(data),
        GatePolicy("p", (AtLeast("roc_auc", 1),)),
    ]

    assert {p.digest for p in policies} == {policies[0].digest}
    assert {p.rules for p in policies} == {(AtLeast("roc_auc", 1.0),)}
    assert load_policy(policies[0]) is policies[0]
    assert policies[0].when_no_baseline is WhenNoBaseline.BLOCK


def test_a_different_threshold_is_a_different_digest() -> None:
    one, other = (GatePolicy("p", (AtLeast("roc_auc", value),)) for value in (0.65, 0.6500000000000001))

    assert one.digest != other.digest


def test_minus_zero_is_written_as_zero_so_that_equal_policies_have_equal_digests() -> None:
    one, other = (GatePolicy("p", (AtLeast("matthews_corrcoef", value),)) for value in (0.0, -0.0))

    assert one.digest == other.digest


REFUSED_RULES: list[tuple[Any, str]] = [
    ({"at_least": {"metric": "acuracy", "value": 0.9}}, "did you mean 'accuracy'?"),
    ({"at_least": {"metric": "ROC_AUC", "value": 0.9}}, "did you mean 'roc_auc'?"),
    ({"at_least": {"metric": None, "value": 0.9}}, "unknown metric None"),
    ({"at_least": {"metric": ["roc_auc"], "value": 0.9}}, "unknown metric"),
    ({"at_lest": {"metric": "accuracy", "value": 0.9}}, "unknown rule 'at_lest'; did you mean 'at_least'?"),
    ({"=>": {"metric": "accuracy", "value": 0.9}}, "Known: at_least"),
    ({"at_least": {"metric": "accuracy", "treshold": 0.9}}, "unknown key 'treshold'"),
    ({"at_least": {"metric": "accuracy", "valu": 0.9}}, "did you mean 'value'?"),
    ({"at_least": {"metric": "accuracy", "value": 0.9}, "warn": True}, "unknown rule 'warn'"),
    ({"at_least": {"metric": "accuracy"}}, "missing key 'value'"),
    ({"at_least": {"value": 0.9}}, "missing key 'metric'"),
    ({"at_least": None}, "expected a mapping"),
    ({"at_least": 0.9}, "expected a mapping"),
    ("at_least", "expected a mapping"),
    (None, "expected a mapping"),
    ({}, "exactly one rule"),
    (
        {"at_least": {"metric": "f1", "value": 0.9}, "at_most": {"metric": "f1", "value": 0.9}},
        "exactly one rule, found at_least, at_most",
    ),
    ({"at_least": {"metric": "accuracy", "value": "0.9"}}, "without quotes"),
    ({"at_least": {"metric": "accuracy", "value": "90%"}}, "expected a number"),
    ({"at_least": {"metric": "accuracy", "value": True}}, "expected a number, got True"),
    ({"at_least": {"metric": "accuracy", "value": None}}, "expected a number, got None"),
    ({"at_least": {"metric": "accuracy", "value": [0.9]}}, "expected a number"),
    ({"at_least": {"metric": "accuracy", "value": float("nan")}}, "finite"),
    ({"at_least": {"metric": "log_loss", "value": float("inf")}}, "finite"),
    ({"at_least": {"metric": "log_loss", "value": 2**53 + 1}}, "not exact as a double"),
    ({"at_least": {"metric": "log_loss", "value": 10**400}}, "not exact as a double"),
    (
        {"at_least": {"metric": "accuracy", "value": 90}},
        "outside the range of 'accuracy' [0, 1]. For 90 % write 0.9",
    ),
    ({"at_least": {"metric": "accuracy", "value": -0.1}}, "outside the range"),
    ({"at_most": {"metric": "log_loss", "value": -0.1}}, "[0, infinity)"),
    ({"at_most": {"metric": "matthews_corrcoef", "value": -1.1}}, "[-1, 1]"),
    ({"between": {"metric": "f1", "min": 0.6, "max": 0.5}}, "min 0.6 is above max 0.5"),
    ({"between": {"metric": "f1", "min": 0.6, "max": 5}}, "outside the range"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1"}}, "found neither"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": 0, "margin_percent": 1}}, "found both"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": -0.1}}, "0 or more"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1", "margin_percent": -1}}, "0 or more"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": 1}}, "margin_percent: 1"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1", "margin_percent": 100}}, "less than 100"),
    ({"no_worse_than": {"baseline": "champion", "metric": "f1", "margin": None}}, "expected a number"),
    ({"no_worse_than": {"metric": "f1", "margin": 0}}, "missing key 'baseline'"),
    ({"no_worse_than": {"baseline": "latest", "metric": "f1", "margin": 0}}, "name of an alias"),
    ({"no_worse_than": {"baseline": 3, "metric": "f1", "margin": 0}}, "name of an alias"),
    ({"no_worse_than": {"baseline": "champion", "metric": "positive_rate", "margin": 0}}, "no better direction"),
    ({"better_than": {"baseline": "champion", "metric": "positive_rate", "by": 0}}, "no better direction"),
    ({"better_than": {"baseline": "champion", "metric": "f1", "margin": 0}}, "unknown key 'margin'"),
    ({"better_than": {"baseline": "champion", "metric": "f1", "by": 0, "by_percent": 0}}, "found both"),
    ({"better_than": {"baseline": "champion", "metric": "f1", "by": -0.1}}, "0 or more"),
    (
        {"not_suspiciously_better_than": {"baseline": "champion", "metric": "f1", "by": float("nan")}},
        "finite",
    ),
    (
        {"every_slice": {"by": "o", "min_rows": 0, "rule": {"at_least": {"metric": "f1", "value": 0.5}}}},
        "at least 1",
    ),
    ({"every_slice": {"by": "o", "min_rows": 1.5, "rule": {"at_least": {"metric": "f1", "value": 0.5}}}}, "whole"),
    ({"every_slice": {"by": "o", "min_rows": True, "rule": {"at_least": {"metric": "f1", "value": 0.5}}}}, "whole"),
    ({"every_slice": {"by": "o", "rule": {"at_least": {"metric": "f1", "value": 0.5}}}}, "missing key 'min_rows'"),
    (
        {"every_slice": {"by": "", "min_rows": 1, "rule": {"at_least": {"metric": "f1", "value": 0.5}}}},
        "line of text",
    ),
    ({"every_slice": {"by": "o", "min_rows": 1}}, "missing key 'rule'"),
    (
        {"every_slice": {"by": "o", "min_rows": 1, "rule": {"held_out": {"min_rows": 5}}}},
        "cannot be applied to one",
    ),
    (
        {"every_slice": {"by": "o", "min_rows": 1, "rule": {"any_of": [{"requires": {"signature": True}}]}}},
        "cannot be applied to one slice",
    ),
    ({"held_out": {}}, "would assert nothing"),
    ({"held_out": {"min_rows": 0}}, "at least 1"),
    ({"held_out": {"not_training_data": False}}, "expected true, got False"),
    ({"held_out": {"not_training_data": "true"}}, "expected true"),
    ({"held_out": {"not_training_data": 1}}, "expected true, got 1"),
    ({"requires": {}}, "would assert nothing"),
    ({"requires": {"signature": False}}, "expected true"),
    ({"requires": {"tags": []}}, "list of names"),
    ({"requires": {"tags": "owner"}}, "Write [owner]"),
    ({"requires": {"tags": ["owner", "owner"]}}, "twice"),
    ({"requires": {"tags": [1]}}, "tag name"),
    ({"requires": {"max_size_mb": 0}}, "above 0"),
    ({"requires": {"max_size_mb": -5}}, "above 0"),
    ({"any_of": []}, "is empty"),
    ({"all_of": []}, "is empty"),
    ({"any_of": {"at_least": {"metric": "f1", "value": 0.5}}}, "expected a list of rules, got a mapping"),
    ({"all_of": None}, "expected a list of rules"),
]


@pytest.mark.parametrize(("rule", "problem"), REFUSED_RULES)
def test_a_rule_that_could_not_be_meant_is_refused(rule: object, problem: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy(policy_data(rule))

    assert problem in str(refused.value)
    assert "rules[0]" in str(refused.value)


REFUSED_POLICIES: list[tuple[dict[str, Any], str]] = [
    ({}, "policy is empty"),
    ({"name": "p", "rules": []}, "no rule means no promotion"),
    ({"name": "p", "rules": None}, "expected a list of rules"),
    ({"name": "p"}, "missing key 'rules'"),
    ({"rules": [{"at_least": {"metric": "f1", "value": 0.5}}]}, "missing key 'name'"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, name=7), "line of text"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, name=" "), "line of text"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, when_no_baseline=None), "unknown value None"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, when_no_baseline="Pass"), "did you mean 'pass'?"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, when_no_baseline=True), "unknown value True"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, enabled=False), "unknown key 'enabled'"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, rule=[]), "did you mean 'rules'?"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, allow_ungated=True), "unknown key 'allow_ungated'"),
    (policy_data({"at_least": {"metric": "f1", "value": 0.5}}, **{"1": 2}), "unknown key '1'"),
]


@pytest.mark.parametrize(("data", "problem"), REFUSED_POLICIES)
def test_a_policy_that_could_not_be_meant_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy(data)

    assert problem in str(refused.value)


def test_rules_nested_without_end_are_refused() -> None:
    rule: dict[str, Any] = {"at_least": {"metric": "f1", "value": 0.5}}
    for _ in range(5000):
        rule = {"any_of": [rule]}

    with pytest.raises(InvalidPolicy, match="nested more than"):
        load_policy(policy_data(rule))


@pytest.mark.parametrize(
    "make",
    [
        lambda: GatePolicy("p", ()),
        lambda: GatePolicy("p", (AtLeast("f1", float("nan")),)),
        lambda: GatePolicy("p", (AtLeast("f1", True),)),
        lambda: GatePolicy("p", (NoWorseThan("champion", "f1"),)),
        lambda: GatePolicy("p", (NoWorseThan("champion", "f1", 0.1, 1.0),)),
        lambda: GatePolicy("p", (EverySlice("o", 1, "at_least"),)),  # type: ignore[arg-type]
        lambda: GatePolicy("p", ({"at_least": {}},)),  # type: ignore[arg-type]
        lambda: GatePolicy("p", (Rule(),)),
        lambda: GatePolicy("p", (AtLeast("f1", 0.5),), None),  # type: ignore[arg-type]
        lambda: GatePolicy("p", (AtLeast("f1", 0.5),), digest="0" * 64),
    ],
)
def test_a_policy_made_in_python_meets_the_same_checks(make: Callable[[], GatePolicy]) -> None:
    with pytest.raises(InvalidPolicy):
        make()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "policy is empty: no rule means no promotion"),
        ("  \n# only a comment\n", "policy is empty"),
        ("---\n", "policy is empty"),
        ("null\n", "policy is empty"),
        ("~", "policy is empty"),
        ("- at_least: {metric: f1, value: 0.5}\n", "expected a mapping"),
        ("just words\n", "expected a mapping"),
        ("name: p\nrules:\n\t- at_least\n", "line 3 column 1"),
        ("name: p\nrules:\n  - at_least: {metric: f1, value: 0.5}\n - at_most: {}\n", "line 4"),
        ("name: [p\n", "not valid YAML"),
        ("name: p\nrules: &all\n" + GOOD_RULE, "line 2 column 8: aliases and anchors are not allowed"),
        ("name: *p\nrules:\n" + GOOD_RULE, "aliases and anchors are not allowed"),
        ("name: p\nrules:\n  - <<: *x\n", "aliases and anchors are not allowed"),
        ("name: !!str p\nrules:\n" + GOOD_RULE, "line 1 column 7: tags are not allowed"),
        ("name: p\nrules: !!python/object/apply:os.system [touch canary]\n", "tags are not allowed"),
        ("!!map\nname: p\nrules:\n" + GOOD_RULE, "tags are not allowed"),
        ("%TAG ! tag:x,2000:\n---\nname: p\nrules:\n" + GOOD_RULE, "tags are not allowed"),
        ("name: ! p\nrules:\n" + GOOD_RULE, "tags are not allowed"),
        ("name: p\nrules:\n" + GOOD_RULE + "name: q\n", "duplicate key 'name' (lines 1, 4)"),
        (
            "name: p\nrules:\n- at_least: {metric: f1, value: 0.9,\n    value: 0.1}\n",
            "duplicate key 'value' (lines 3, 4)",
        ),
        ('name: p\n"name": q\nrules:\n' + GOOD_RULE, "duplicate key 'name' (lines 1, 2)"),
        ("name: p\n? [a, b]\n: 1\n", "a key must be a word"),
        ("name: p\nrules:\n" + GOOD_RULE + "---\nname: q\n", "more than one document"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 010}\n", "010 is a leading zero"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 00.5}\n", "leading zero"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 0o10}\n", "another base"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 0x1F}\n", "another base"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 1_0}\n", "underscores"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 1:30}\n", "line 3 column 33: 1:30 is a base-60 number"),
        ("name: p\nrules:\n- requires: {signature: yes}\n", "yes is ambiguous"),
        ("name: p\nrules:\n- requires: {signature: On}\n", "On is ambiguous"),
        ("name: p\nrules:\n- requires: {signature: True}\n", "Write true or false"),
        ("name: no\nrules:\n" + GOOD_RULE, '"no" for the text'),
        ("name: p\nwhen_no_baseline: off\nrules:\n" + GOOD_RULE, "off is ambiguous"),
        ("name: p\nwhen_no_baseline:\nrules:\n" + GOOD_RULE, "unknown value None"),
        ("name: p\nwhen_no_baseline: null\nrules:\n" + GOOD_RULE, "unknown value None"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: .nan}\n", "finite"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: -.INF}\n", "finite"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 1e999}\n", "finite"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 1e3}\n", "1000 is outside the range"),
        ('name: p\nrules:\n- at_least: {metric: f1, value: "0.5"}\n', "without quotes"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: 0,5}\n", "unknown key '5'"),
        ("name: p\nrules:\n- at_least: {metric: f1, value: " + "9" * 5000 + "}\n", "too many digits"),
        ("name: p\nrules: " + "[" * 5000 + "]" * 5000, "nested more than 32 deep"),
        ("name: p\nrules: " + "{a: " * 5000 + "}" * 5000, "nested more than 32 deep"),
        ("name: p\nrules: " + "- " * 5000 + "x", "not valid YAML"),
        ("name: p\nrules:\n" + "".join(f"{' ' * i}-\n" for i in range(100)), "nested more than 32 deep"),
        ("name: p\0\n", "not valid YAML"),
        ("name: p\x07\n", "not valid YAML"),
        (b"name: \xff\xfe\n", "is not UTF-8 text (byte 6)"),
        (b"name: p\n#" + b"x" * (256 * 1024), "is larger than 256 KB"),
    ],
)
def test_yaml_that_does_not_say_what_its_author_sees_is_refused(
    write: Callable[..., Path], text: str | bytes, problem: str
) -> None:
    path = write(text)

    with pytest.raises(InvalidPolicy) as refused:
        load_policy(path)

    assert problem in str(refused.value)
    assert str(path) in str(refused.value)
    assert not Path("canary").exists()


def test_an_alias_bomb_is_refused_before_it_grows(write: Callable[..., Path]) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [{','.join([f'*{p}'] * 10)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )

    with pytest.raises(InvalidPolicy, match="aliases and anchors"):
        load_policy(write(bomb))


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("p.json", "", "policy is empty"),
        ("p.json", "null", "policy is empty"),
        ("p.json", "[]", "policy is empty"),
        ("p.json", "[1]", "expected a mapping"),
        ("p.json", '{"name": "p",\n "rules": }', "line 2 column 11"),
        ("p.json", '{"name": "p", "name": "q", "rules": []}', "duplicate key 'name'"),
        ("p.json", '{"name": "p", "rules": [{"at_least": {"value": NaN}}]}', "NaN is not a number a gate can use"),
        ("p.json", '{"name": "p", "rules": [{"at_least": {"value": -Infinity}}]}', "-Infinity is not a number"),
        ("p.json", '{"name": "p", "rules": [{"at_least": {"metric": "f1", "value": 1e999}}]}', "finite"),
        ("p.json", '{"name": ' + "9" * 5000 + "}", "not valid JSON"),
        ("p.json", "[" * 100_000 + "]" * 100_000, "nested more than 32 deep"),
        ("p.json", "[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("p.toml", 'name = "p"\nname = "q"\n', "line 2"),
        ("p.toml", "name = \n", "not valid TOML"),
        ("p.toml", 'name = "p"\n[[rules]]\nat_least = {metric = "f1", value = nan}\n', "finite"),
        ("p.toml", 'name = "p"\n[[rules]]\nat_least = {metric = "f1", value = 2024-01-01}\n', "expected a number"),
        ("p.toml", "a = " + "[" * 50 + "]" * 50, "nested more than 32 deep"),
        ("p.toml", "a = " + "[" * 50_000 + "]" * 50_000, "nested more than 32 deep"),
        ("p.txt", FULL, "unknown kind of file '.txt'. Use one of .yaml, .yml, .json, .toml"),
        ("policy", FULL, "unknown kind of file ''"),
    ],
)
def test_other_files_that_cannot_mean_a_policy_are_refused(
    write: Callable[..., Path], name: str, text: str, problem: str
) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy(write(text, name))

    assert problem in str(refused.value)
    assert name in str(refused.value)


def test_numbers_in_yaml_are_read_as_written(write: Callable[..., Path]) -> None:
    lines = "".join(f"- at_most: {{metric: log_loss, value: {v}}}\n" for v in ("1e3", "+2", ".5", "3.", "1.5E-2", "0"))
    policy = load_policy(write(f"name: '010'\nrules:\n{lines}"))

    assert [rule.to_json()["at_most"]["value"] for rule in policy.rules] == [1000.0, 2.0, 0.5, 3.0, 0.015, 0.0]
    assert policy.name == "010"


def test_a_byte_order_mark_and_windows_line_ends_are_harmless(write: Callable[..., Path]) -> None:
    windows = b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode()

    assert load_policy(write(windows)).digest == load_policy(write(FULL, "unix.yaml")).digest


def test_a_problem_in_a_file_names_the_file_and_the_rule(write: Callable[..., Path]) -> None:
    path = write("name: p\nrules:\n- any_of:\n  - at_least: {metric: acuracy, value: 0.5}\n")

    with pytest.raises(InvalidPolicy) as refused:
        load_policy(path)

    assert str(refused.value).startswith(
        f"policy {path} line 4, rules[0].any_of[0].at_least.metric: unknown metric 'acuracy'; did you mean 'accuracy'?"
    )
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            "- at_least:\n  metric: f1\n  value: 0.5\n",
            "line 3, rules[0]: 'at_least' has nothing in it, but beside it 'metric'",
        ),
        ("- at_least: {metric:f1, value: 0.5}\n", "did you mean 'metric: f1', with a space?"),
        ("- at_least: {metric: f1, value: 0,5}\n", "A decimal number has a point: 0.9"),
        ("- at_least: {metric: f1, value: '0,5'}\n", "Write 0.5"),
        ("- at_least: {metric: f1, value: 90%}\n", "For 90% write 0.9"),
        ("- at_least:\n    metric: f1\n    value: 90\n", "line 5, rules[0].at_least.value: 90 is outside"),
        (
            "- at_least:\n    metric: f1\n    valeu: 0.9\n",
            "line 3, rules[0].at_least: unknown key 'valeu'; did you mean 'value'",
        ),
        ("  at_least: {metric: f1, value: 0.5}\n", "line 2, rules: expected a list of rules, got a mapping"),
    ],
)
def test_a_newcomers_slip_is_told_with_its_line_and_what_to_write(
    write: Callable[..., Path], rules: str, problem: str
) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy(write("name: p\nrules:\n" + rules))

    assert problem in str(refused.value)


def test_a_misspelt_metric_is_told_the_nearest_one_and_not_all_of_them() -> None:
    with pytest.raises(InvalidPolicy) as refused:
        load_policy(policy_data({"at_least": {"metric": "acuracy", "value": 0.9}}))

    assert str(refused.value).endswith("unknown metric 'acuracy'; did you mean 'accuracy'?")


def test_a_missing_file_is_not_found_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Give the path of a"):
        load_policy(tmp_path / "none.yaml")


def test_policy_text_given_as_a_string_is_taken_for_a_path_and_says_so() -> None:
    with pytest.raises((NotFound, InvalidPolicy)) as refused:
        load_policy(FULL)

    assert "path" in str(refused.value)


def test_folders_and_devices_are_not_policies(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path, tmp_path / "pipe.yaml"):
        with pytest.raises(InvalidPolicy, match="not a file"):
            load_policy(path)


@pytest.mark.parametrize("given", [None, 3, ["rules"], b"policy.yaml", True])
def test_anything_else_is_refused(given: object) -> None:
    with pytest.raises(InvalidValue, match="the path of a policy file, a mapping or a GatePolicy"):
        load_policy(given)
