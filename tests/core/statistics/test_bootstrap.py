"""The Poisson bootstrap: weights, states that add up, metrics of replicates against scikit-learn, spreads."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from penstock.evaluation.inference import replicates
from penstock.evaluation.inference.bootstrap import Bootstrap
from penstock.evaluation.inference.weights import keys_of_rows, keys_of_values, parts_of, poisson_weights
from penstock.evaluation.scores import BinaryTable
from penstock.evaluation.state.groups import GroupCodes
from penstock.statistics.evidence import PairedEstimates, Replicates, evidence_from_json, paired_from_json

Arrays = dict[str, NDArray[Any]]
RECORDED = [[5, 0, 2, 1, 0, 0, 0, 1, 0, 1, 4, 0], [1, 4, 0, 3, 3, 1, 2, 2, 1, 2, 2, 1]]


@pytest.fixture(scope="module")
def rows() -> Arrays:
    """Real tumours, two weak models of one measurement each, and the digit of the row's number as its group."""
    x, y = load_breast_cancer(return_X_y=True)
    found: Arrays = {"label": y.astype(np.int64), "group": (np.arange(len(y)) % 7 + 1).astype(np.int32)}
    for name, column in (("candidate", 1), ("baseline", 4)):
        model = LogisticRegression().fit(x[::5, [column]], y[::5])
        found[name] = model.predict_proba(x[:, [column]])[:, 1]
        found[f"{name} loss"] = -np.log(np.where(y == 1, found[name], 1 - found[name]))
    return found


def empty(count: int = 200) -> Bootstrap:
    models = ("candidate", "baseline")
    losses = [f"{model} loss" for model in models]
    return Bootstrap(dict.fromkeys(models, 4), losses, models, replicates=count, sliced_sums=True, sliced_bins=64)


def add(state: Bootstrap, rows: Arrays, part: slice, weights: NDArray[np.float64] | None = None) -> Bootstrap:
    size = len(range(*part.indices(len(rows["label"]))))
    label, models = rows["label"][part], ("candidate", "baseline")
    state.update(
        keys_of_rows("tumours", part.start, size),
        GroupCodes(size, [rows["group"][part]], 8),
        cells={m: 2 * label + (rows[m][part] > 0.5) for m in models},
        sums={f"{m} loss": rows[f"{m} loss"][part] for m in models},
        scores={m: (rows[m][part], label) for m in models},
        weights=None if weights is None else weights[part],
    )
    return state


@pytest.fixture(scope="module")
def whole(rows: Arrays) -> Bootstrap:
    return add(empty(), rows, slice(0, len(rows["label"])))


def test_weights_have_mean_and_variance_1_and_are_whole_numbers() -> None:
    weights = poisson_weights(keys_of_rows("x", 0, 20_000), 200)
    assert set(np.unique(weights)) == {0, 1, 2, 3, 4, 5}
    assert weights.mean() == pytest.approx(1, abs=4 / math.sqrt(weights.size))
    assert weights.var() == pytest.approx(1, abs=10 / math.sqrt(weights.size))


def test_the_table_behind_the_weights_has_mean_and_variance_1_exactly() -> None:
    # All 65,536 pairs of neighbouring bytes of a counter, as draws, would do; the steps say it as well.
    steps = np.diff([0, 94, 189, 235, 251, 255, 256])
    values = np.arange(6)
    assert steps.sum() == (steps * values).sum() == (steps * values**2).sum() / 2 == 256


def test_weights_of_rows_and_of_replicates_do_not_correlate() -> None:
    weights: NDArray[np.float64] = poisson_weights(keys_of_rows("x", 0, 4_000), 200)
    for drawn in (weights.T, weights[:200]):
        apart = np.asarray(np.corrcoef(drawn))[np.triu_indices(200, 1)]
        limit = 5.5 / math.sqrt(drawn.shape[1])  # of 19,900 normal correlations one beyond it has odds 1 : 1,300
        assert np.abs(apart).max() < limit


def test_weights_follow_from_source_and_row_alone() -> None:
    assert (keys_of_rows("a", 5, 10) == keys_of_rows("a", 0, 15)[5:]).all()
    assert (keys_of_rows("a", 0, 10) != keys_of_rows("b", 0, 10)).all()
    keys = keys_of_rows("a", 0, 10)
    assert (poisson_weights(keys, 13) == poisson_weights(keys, 200)[:, :13]).all()


def test_weights_never_change_between_versions() -> None:
    # Recorded once: evaluations in parts may be merged by another version, on another machine.
    assert poisson_weights(keys_of_rows("held-out", 7, 2), 12).tolist() == RECORDED


def test_rows_with_one_id_are_drawn_together_whatever_their_type_of_column() -> None:
    ids = np.array(["b", "a", "b", "c"], dtype=object)
    keys = keys_of_values(ids)
    assert keys[0] == keys[2]
    assert len(set(keys.tolist())) == 3
    assert (keys_of_values(ids[::-1]) == keys[::-1]).all()


def read(state: Bootstrap) -> dict[str, NDArray[np.float64]]:
    found: dict[str, NDArray[np.float64]] = {}
    for model in ("candidate", "baseline"):
        found[f"{model} scores"] = state.scores(model)
        for group in range(8):
            found[f"{model} cells {group}"] = state.cells(model, group)
            found[f"{model} loss {group}"] = state.sums(f"{model} loss", group)
            scores = state.scores_of(model, group)
            assert scores is not None
            found[f"{model} scores {group}"] = scores
    return found


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 568), max_size=4), st.randoms())
def test_any_splitting_and_any_order_of_merging_gives_the_same_replicates(
    rows: Arrays, whole: Bootstrap, cuts: list[int], chance: Any
) -> None:
    edges = [0, *sorted(set(cuts)), len(rows["label"])]
    parts = [add(empty(), rows, slice(*edge)) for edge in pairwise(edges)]
    chance.shuffle(parts)
    merged = empty()
    for part in parts:
        packed = empty()
        packed.unpack(part.pack())
        merged.merge(packed, np.arange(8), 8)

    for name, values in read(whole).items():
        if "loss" in name:
            np.testing.assert_allclose(read(merged)[name], values, rtol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(read(merged)[name], values, err_msg=name)


def test_merging_puts_groups_where_they_belong(rows: Arrays, whole: Bootstrap) -> None:
    moved = empty()
    moved.merge(whole, np.array([0, 3, 1, 2, 4, 5, 6, 7]), 8)
    assert (moved.cells("candidate", 3) == whole.cells("candidate", 1)).all()
    assert (moved.cells("candidate", 0) == whole.cells("candidate", 0)).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_a_replicate_are_scikit_learns_with_its_weights(rows: Arrays, weighted: bool) -> None:
    y, score = rows["label"], rows["candidate"]
    own = np.linspace(0.5, 3, len(y)) if weighted else np.ones(len(y))
    state = add(empty(8), rows, slice(0, len(y)), own if weighted else None)
    drawn = poisson_weights(keys_of_rows("tumours", 0, len(y)), 8)
    cells = state.cells("candidate").reshape(2, 2, -1)
    expected: dict[str, Any] = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "matthews_corrcoef": metrics.matthews_corrcoef,
        "cohen_kappa": metrics.cohen_kappa_score,
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
    }
    counts = state.scores("candidate")  # so few that every score has a bin of its own
    for place in range(8):
        weight = own * drawn[:, place]
        for name, metric in expected.items():
            found = replicates.of_confusion(cells, name)
            assert found is not None
            assert found[place] == pytest.approx(metric(y, score > 0.5, sample_weight=weight), rel=1e-12), name
        auc, precision = replicates.roc_auc(counts)[place], replicates.average_precision(counts)[place]
        assert auc == pytest.approx(metrics.roc_auc_score(y, score, sample_weight=weight), rel=1e-12)
        assert precision == pytest.approx(metrics.average_precision_score(y, score, sample_weight=weight), rel=1e-12)
        loss = replicates.mean(state.sums("candidate loss"), state.sums())[place]
        assert loss == pytest.approx(metrics.log_loss(y, score, sample_weight=weight), rel=1e-12)


def error_sums(sums: Callable[[str], NDArray[np.float64]], *, about: bool = False) -> replicates.ErrorSums:
    rows, y, squares, squared, error = (sums(name) for name in ("rows", "y", "y²", "error²", "error"))
    return replicates.ErrorSums(rows, y, squares, squared, error if about else None)


@pytest.mark.parametrize(("about", "metric"), [(False, metrics.r2_score), (True, metrics.explained_variance_score)])
def test_r2_of_replicates_is_scikit_learns_to_first_order(rows: Arrays, about: bool, metric: Any) -> None:
    y, said = rows["candidate loss"], 0.8 * rows["candidate loss"] + 0.3 * rows["baseline loss"]
    error, keys = said - y, keys_of_rows("tumours", 0, len(y))
    state = Bootstrap({}, ["y", "y²", "error", "error²"])
    state.update(keys, GroupCodes(len(y)), sums={"y": y, "y²": y**2, "error": error, "error²": error**2})
    whole = error_sums(state.parts, about=about).total()
    found = replicates.r2(error_sums(state.sums, about=about), whole)
    expected = [metric(y, said, sample_weight=weight) for weight in poisson_weights(keys).T]
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert found.std() == pytest.approx(np.std(expected), rel=0.1)
    assert replicates.r2(whole, whole) == pytest.approx(metric(y, said), rel=1e-9)
    far = whole._replace(y=whole.y + 1e9 * len(y), y_squared=whole.y_squared + 2e9 * whole.y + 1e18 * len(y))
    assert np.isnan(replicates.r2(far, far))


def test_parts_of_the_rows_hold_every_row_once_and_rows_of_one_key_together(rows: Arrays) -> None:
    y, size = rows["candidate loss"], len(rows["label"])
    days = keys_of_values(np.arange(size) // 5)
    state = Bootstrap({}, ["y"], sliced_sums=True, replicates=8)
    for part in (slice(0, 200), slice(200, size)):
        groups = GroupCodes(len(y[part]), [rows["group"][part]], 8)
        state.update(days[part], groups, sums={"y": y[part]})
    for group in range(8):
        inside = rows["group"] == group if group else np.ones(size, dtype=bool)
        assert state.parts("y", group).sum() == pytest.approx(y[inside].sum(), rel=1e-12)
        assert state.parts(group=group).sum() == inside.sum()
    where = parts_of(days, 64)
    assert all(len(set(where[day : day + 5])) == 1 for day in range(0, size - 5, 5))
    assert state.parts("y").tolist() == pytest.approx([y[where == part].sum() for part in range(64)])

    other = Bootstrap({}, ["y"], sliced_sums=True, replicates=8)
    other.merge(state, np.arange(8), 8)
    again = Bootstrap({}, ["y"], sliced_sums=True, replicates=8)
    again.unpack(other.pack())
    again.merge(state, np.arange(8), 8)
    assert again.parts("y", 3) == pytest.approx(2 * state.parts("y", 3))
    again.all_rows()
    assert again.parts("y") == pytest.approx(2 * state.parts("y"))


def test_contributions_to_r2_are_what_it_changes_by_when_a_row_weighs_more(rows: Arrays) -> None:
    y, said = rows["candidate loss"], rows["baseline loss"]
    error = said - y
    for about, metric in ((None, metrics.r2_score), (error, metrics.explained_variance_score)):
        sums = replicates.ErrorSums(np.ones(len(y)), y, y**2, error**2, about)
        contributions = replicates.contributions_to_r2(sums, sums.total())
        changes = []
        for row in range(20):
            weights = np.ones(len(y))
            weights[row] += 1e-5
            changes.append((metric(y, said, sample_weight=weights) - metric(y, said)) / 1e-5)
        assert changes == pytest.approx(contributions[:20], rel=1e-3, abs=1e-9)
        assert contributions.sum() == pytest.approx(0, abs=1e-9 * np.abs(contributions).sum())


def test_degrees_of_freedom_are_fewer_the_more_few_parts_decide() -> None:
    random = np.random.default_rng(1)
    normal, heavy = (of - of.mean() for of in (random.normal(size=64), random.standard_t(2, 64)))
    kurtosis = stats.kurtosis(heavy)
    assert replicates.degrees(heavy) == pytest.approx(128 / 3 / kurtosis)
    assert (replicates.degrees(normal) or 1e9) > 40
    assert replicates.degrees(np.tile([1.0, -1.0], 32)) is None  # less kurtosis than the normal distribution
    assert replicates.degrees(np.zeros(64)) is replicates.degrees(np.full(64, np.nan)) is None
    one = np.full(64, -1 / 63)
    one[3] = 1.0
    assert replicates.degrees(one) == pytest.approx(1)  # of 61: the least there can be


def test_a_gain_of_replicates_is_exact_for_one_and_linear_in_rows_for_many(rows: Arrays, whole: Bootstrap) -> None:
    counts = whole.scores("candidate")
    drawn = poisson_weights(keys_of_rows("tumours", 0, len(rows["label"])))
    found, exact = replicates.gain(counts, 0.3), []
    for draw in range(200):
        alone = replicates.gain(counts[:, :, draw : draw + 1], 0.3)[0]
        exact.append(alone)
        if draw % 50 == 0:
            places = np.searchsorted(np.unique(rows["candidate"]), rows["candidate"])
            yes, no = (np.bincount(places, drawn[:, draw] * (rows["label"] == kind)) for kind in (1, 0))
            table = BinaryTable(np.unique(rows["candidate"]), yes, no, binned=False)
            assert alone == pytest.approx(table.gain(0.3)[0], rel=1e-12)
    assert np.corrcoef(found, exact)[0, 1] > 0.95
    assert found.mean() == pytest.approx(np.mean(exact), abs=0.002)
    half = replicates.gain((counts + counts[:, :, ::-1]) / 2, 0.3)
    assert half == pytest.approx(
        (found * counts[:, 1].sum(axis=0) + found[::-1] * counts[:, 1, ::-1].sum(axis=0))
        / (counts[:, 1].sum(axis=0) + counts[:, 1, ::-1].sum(axis=0)),
        abs=0.01,
    )


def test_the_spread_of_a_difference_of_gains_is_that_of_fresh_samples() -> None:
    """Two models that know parts of the same: with a threshold for each replicate it would be a tenth too large."""
    random, differences, errors = np.random.default_rng(7), [], []
    for draw in range(150):
        signal = random.normal(size=(3, 1_000))
        label = (signal.sum(axis=0) > 1.5).astype(np.int64)
        scores = {"new": signal[0] + signal[1], "old": signal[0] + 0.8 * signal[2]}
        state = Bootstrap({}, scored=list(scores))
        keys, groups = keys_of_rows(f"{draw}", 0, 1_000), GroupCodes(1_000)
        state.update(keys, groups, scores={name: (score, label) for name, score in scores.items()})
        tops = [label[np.argsort(-score)[:100]].sum() / label.sum() for score in scores.values()]
        differences.append(tops[0] - tops[1])
        new, old = (replicates.gain(state.scores(name), 0.1) for name in scores)
        errors.append((new - old).std(ddof=1))
    assert np.mean(errors) == pytest.approx(np.std(differences, ddof=1), rel=0.1)


def test_spreads_agree_with_theory(rows: Arrays, whole: Bootstrap) -> None:
    """200 replicates estimate a standard error to about 5 %; the seeds are fixed, three times that is allowed."""
    loss = rows["candidate loss"]
    stats = replicates.evidence(float(loss.mean()), replicates.mean(whole.sums("candidate loss"), whole.sums()))
    found = evidence_from_json(stats["evidence"])
    assert isinstance(found, Replicates)
    assert found.standard_error == pytest.approx(loss.std(ddof=1) / math.sqrt(len(loss)), rel=0.15)

    new, old = (replicates.roc_auc(whole.scores(model)) for model in ("candidate", "baseline"))
    values = [metrics.roc_auc_score(rows["label"], rows[model]) for model in ("candidate", "baseline")]
    pair = paired_from_json(replicates.paired(values[0], values[1], new, old)["paired"])
    assert isinstance(pair, PairedEstimates)
    assert pair.degrees_of_freedom == 199
    kernels = [(placements(rows["label"], rows[model])) for model in ("candidate", "baseline")]
    for factor in (0.0, 1.0, 0.95):
        variance = sum(np.var(a - factor * b, ddof=1) / len(a) for a, b in zip(*kernels, strict=True))
        assert math.sqrt(pair.variance_of_contrast(factor)) == pytest.approx(math.sqrt(variance), rel=0.15)


def placements(label: NDArray[Any], score: NDArray[Any]) -> list[NDArray[np.float64]]:
    """DeLong's structural components by their definition: every positive against every negative."""
    positive, negative = score[label == 1][:, None], score[label == 0][None, :]
    wins = (positive > negative) + 0.5 * (positive == negative)
    return [wins.mean(axis=1), wins.mean(axis=0)]


def test_many_scores_share_few_bins_whatever_the_order_and_however_narrow_their_range() -> None:
    chance = np.random.default_rng(3)
    label = (chance.random(30_000) < 0.3).astype(np.int64)
    score = 0.36 + 1e-6 * (label + 1.5 * chance.normal(size=30_000))  # a model that hardly dares
    keys = keys_of_rows("narrow", 0, 30_000)
    states = []
    for order in (slice(None), slice(None, None, -1)):
        state = Bootstrap({}, scored=["model"], replicates=8)
        for start in range(0, 30_000, 10_000):
            part = np.arange(30_000)[order][start : start + 10_000]
            state.update(keys[part], GroupCodes(10_000), scores={"model": (score[part], label[part])})
        states.append(state)
    counts = states[0].scores("model")
    drawn = poisson_weights(keys, 8)

    np.testing.assert_array_equal(counts, states[1].scores("model"))
    assert 500 < len(counts) <= 2_048
    expected = [metrics.roc_auc_score(label, score, sample_weight=weight) for weight in drawn.T]
    assert replicates.roc_auc(counts) == pytest.approx(expected, abs=5e-4)


def test_the_spread_of_a_slice_hardly_depends_on_how_few_bins_its_scores_have(rows: Arrays) -> None:
    """The point of bins in slices: standard errors, of which 200 replicates know no more than 5 %."""
    whole = Bootstrap({}, scored=["candidate"], sliced_bins=64)
    fine = Bootstrap({}, scored=["candidate"], sliced_bins=1024)
    for state in (whole, fine):
        size, label = len(rows["label"]), rows["label"]
        keys, groups = keys_of_rows("tumours", 0, size), GroupCodes(size, [1 + (rows["group"] > 3).astype(np.int32)], 3)
        state.update(keys, groups, scores={"candidate": (rows["candidate"], label)})
    for group in (1, 2):
        coarse_scores, exact_scores = whole.scores_of("candidate", group), fine.scores_of("candidate", group)
        assert coarse_scores is not None
        assert exact_scores is not None
        assert len(coarse_scores) <= 64 < len(exact_scores)
        for metric in (replicates.roc_auc, replicates.average_precision, lambda counts: replicates.gain(counts, 0.1)):
            coarse, exact = metric(coarse_scores), metric(exact_scores)
            assert coarse.std() == pytest.approx(exact.std(), rel=0.1)
            assert np.corrcoef(coarse, exact)[0, 1] > 0.97


def test_scores_of_more_slices_than_memory_allows_are_not_kept() -> None:
    state, size = Bootstrap({}, scored=["model"], sliced_bins=256), 1_000
    keys, chance = keys_of_rows("x", 0, size), np.random.default_rng(1)
    scores = {"model": (chance.random(size), np.arange(size) % 2)}
    few = GroupCodes(size, [(np.arange(size) % 100 + 1).astype(np.int32)], 101)
    state.update(keys, few, scores=scores)
    assert state.scores_of("model", 7) is not None
    other = Bootstrap({}, scored=["model"], sliced_bins=256)
    other.update(keys, GroupCodes(size, [(np.arange(size) % 500 + 1).astype(np.int32)], 501), scores=scores)
    assert other.scores_of("model", 7) is None
    state.merge(other, np.arange(501), 501)
    assert state.scores_of("model", 7) is state.scores_of("model", 300) is None
    assert (state.scores("model").sum(axis=(0, 1)) == 2 * poisson_weights(keys).sum(axis=0)).all()


def test_whole_clusters_are_resampled() -> None:
    """Each of 400 values eight times over: as clusters their mean is as uncertain as that of 400 rows."""
    values = np.random.default_rng(5).normal(size=400).repeat(8)
    errors = []
    for keys in (keys_of_values(np.arange(400).repeat(8)), keys_of_rows("x", 0, 3_200)):
        state = Bootstrap({}, ["value"])
        state.update(keys, GroupCodes(3_200), sums={"value": values})
        errors.append(replicates.mean(state.sums("value"), state.sums()).std(ddof=1))
    assert errors[0] == pytest.approx(1 / math.sqrt(400), rel=0.15)
    assert errors[1] == pytest.approx(1 / math.sqrt(3_200), rel=0.15)


def test_rows_without_a_finite_score_or_a_cell_count_nowhere() -> None:
    state = Bootstrap({"model": 4}, scored=["model"], replicates=8)
    scores = np.array([0.1, np.nan, 0.9, np.inf])
    state.update(
        keys_of_rows("x", 0, 4),
        GroupCodes(4),
        cells={"model": np.array([0, 3, -1, 2])},
        scores={"model": (scores, np.array([0, 1, 1, 0]))},
    )
    drawn = poisson_weights(keys_of_rows("x", 0, 4), 8)
    assert (state.cells("model") == [drawn[0], 0 * drawn[0], drawn[3], drawn[1]]).all()
    assert (state.scores("model").sum(axis=(0, 1)) == drawn[0] + drawn[2]).all()


def test_replicates_that_are_often_undefined_bound_nothing() -> None:
    often = np.array([math.nan] * 20 + [0.5, 0.6] * 90)
    seldom = np.array([math.nan] * 2 + [0.5, 0.6] * 99)
    assert replicates.evidence(0.5, often) == replicates.paired(0.5, 0.5, often, seldom) == {}
    assert replicates.evidence(0.5, seldom)["evidence"]["count"] == 198
    assert replicates.evidence(None, seldom) == replicates.evidence(math.nan, seldom) == {}
    assert replicates.paired(0.5, None, seldom, seldom) == {}
    one_class = np.zeros((3, 2, 4))
    assert np.isnan(replicates.roc_auc(one_class)).all()
    assert np.isnan(replicates.average_precision(one_class)).all()
