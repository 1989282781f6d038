"""Mirrors dlref/strategy/goals_and_metrics/areas.py."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from dlref.strategy import average_precision_score, precision_recall_curve, roc_auc_score


def same(ours, theirs, *arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn of what is undefined, in other words
        found, wanted = ours(*arguments, **settings), theirs(*arguments, **settings)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@given(st.data(), st.sampled_from([None, 1.0, 0.1, 0.37]))
def test_area_of_two_classes_is_scikit_learns(scored, data, max_fpr):
    true, score, weight = data.draw(scored)
    if weight is not None:  # theirs is 0 or NaN where a class has no weight
        assume(all(weight[true == k].sum() > 0 for k in np.unique(true)))
    same(roc_auc_score, metrics.roc_auc_score, true, score, sample_weight=weight, max_fpr=max_fpr)


@given(st.data())
@pytest.mark.verifies("eq-auc")
def test_area_counts_pairs(scored, data):
    true, score, weight = data.draw(scored)
    w = np.ones(len(true)) if weight is None else weight
    assume(min(w[true == 0].sum(), w[true == 1].sum()) > 0)
    above = np.sign(score[true == 1][:, None] - score[true == 0]) / 2 + 0.5
    pairs = w[true == 1][:, None] * w[true == 0]
    wanted = (pairs * above).sum() / pairs.sum()
    np.testing.assert_allclose(roc_auc_score(true, score, sample_weight=weight), wanted, rtol=1e-12)


@given(st.data())
@pytest.mark.verifies("eq-average-precision")
def test_average_precision_of_two_classes_is_scikit_learns(scored, data):
    true, score, weight = data.draw(scored)
    pos_label = 1 if len(np.unique(true)) == 1 else data.draw(st.sampled_from([0, 1]))
    same(
        average_precision_score, metrics.average_precision_score, true, score, sample_weight=weight, pos_label=pos_label
    )


@given(st.data(), st.sampled_from([None, "macro", "weighted", "micro"]))
def test_several_classes_are_scikit_learns(probable, data, average):
    true, prob, weight = data.draw(probable)
    if weight is not None:
        assume(all(0 < weight[true == k].sum() < weight.sum() for k in np.unique(true)))
    settings = {"average": average, "sample_weight": weight}
    same(average_precision_score, metrics.average_precision_score, true, prob, **settings)
    same(roc_auc_score, metrics.roc_auc_score, true, prob, multi_class="ovr", **settings)
    if average in ("macro", "weighted"):
        same(roc_auc_score, metrics.roc_auc_score, true, prob, multi_class="ovo", average=average)


def test_classes_that_do_not_occur():
    prob = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.6, 0.1], [0.7, 0.2, 0.1]])
    with pytest.warns(UserWarning, match="a class without examples has an area of NaN"):
        found = roc_auc_score([0, 1, 0, 0], prob, multi_class="ovr", labels=[0, 1, 2], average=None)
    assert np.isnan(found[2])
    each = [metrics.roc_auc_score([k == c for k in (0, 1, 0, 0)], prob[:, c]) for c in (0, 1)]
    np.testing.assert_allclose(found[:2], each)
    assert roc_auc_score(["b", "a", "c", "b"], prob, multi_class="ovr") == metrics.roc_auc_score(
        ["b", "a", "c", "b"], prob, multi_class="ovr"
    )
    # a class without examples has no weight in the weighted mean
    with pytest.warns(UserWarning, match="a class without examples has an area of NaN"):
        weighted = roc_auc_score([0, 1, 0, 0], prob, multi_class="ovr", labels=[0, 1, 2], average="weighted")
    np.testing.assert_allclose(weighted, (3 * found[0] + found[1]) / 4)
    for average in ("macro", "weighted"):
        settings = {"multi_class": "ovo", "labels": [0, 1, 2], "average": average}
        same(roc_auc_score, metrics.roc_auc_score, [0, 1, 0, 0], prob, **settings)


def test_ties():
    """A pair of equal scores counts half, in whatever order they stand."""
    assert roc_auc_score([1, 1, 0], [0.9, 0.5, 0.5]) == roc_auc_score([1, 0, 1], [0.9, 0.5, 0.5]) == 0.75
    true, score = np.zeros(10_000, dtype=int), np.full(10_000, 0.3)
    true[4321] = 1
    assert average_precision_score(true, score) == 1e-4
    precision, recall, _ = precision_recall_curve(true, score)
    assert round(float(-np.trapezoid(precision, recall)), 5) == 0.50005


def test_only_the_order_of_scores_counts():
    rng = np.random.default_rng(0)
    true, score = rng.integers(2, size=40), rng.normal(size=40)
    for area in (roc_auc_score, average_precision_score):
        assert area(true, score) == area(true, np.exp(score))
    assert roc_auc_score(true, -score) == pytest.approx(1 - roc_auc_score(true, score), rel=1e-12)


def test_what_is_undefined_is_said():
    with pytest.warns(UserWarning, match=r"^y_true holds one class; the area is NaN$"):
        assert np.isnan(roc_auc_score([1, 1], [0.1, 0.2]))
    with pytest.warns(UserWarning, match=r"^no example is positive; the average precision is 0$"):
        assert average_precision_score([0, 0], [0.1, 0.2]) == 0
    with pytest.warns(UserWarning, match=r"^a class without examples has an area of NaN$"):
        assert np.isnan(roc_auc_score([0, 1], [0.1, 0.2], sample_weight=[0, 1]))


def test_a_class_that_does_not_occur_leaves_the_mean_open():
    prob = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.5, 0]])
    with pytest.warns(UserWarning, match=r"^a class without examples has an area of NaN$"):
        assert np.isnan(roc_auc_score([0, 1, 0], prob, multi_class="ovr", labels=[0, 1, 2]))
    with pytest.warns(UserWarning, match=r"^a class without examples has an area of NaN$"):
        assert roc_auc_score([0, 1, 0], prob, multi_class="ovr", labels=[0, 1, 2], average="weighted") > 0


def test_the_whole_curve_may_be_asked_for_by_name():
    true, prob = [0, 1, 2, 1], np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.5, 0], [0.2, 0.4, 0.4]])
    usual = roc_auc_score(true, prob, multi_class="ovr")
    assert roc_auc_score(true, prob, multi_class="ovr", max_fpr=1.0) == usual


PROB = np.full((3, 3), 1 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc_auc_score([0, 1, 2], PROB), "multi_class must be one of 'ovr', 'ovo', got 'raise'"),
        *(
            (lambda score=score: score([], [0.1]), "y_true must hold a class for each example, got float64 array")
            for score in (roc_auc_score, average_precision_score)
        ),
        *(
            (lambda score=score: score([0, 1], [0.1]), "y_score must hold a number for each of 2 examples, got float64")
            for score in (roc_auc_score, average_precision_score)
        ),
        (
            lambda: average_precision_score([0, 1, 2], [[0.1], [0.2]]),
            "y_score must hold a number for each of 3 examples, got float64 array of shape (2, 1)",
        ),
        (
            lambda: roc_auc_score([0, 1, 0], PROB[:, :2]),
            "y_score must hold a number for each of 3 examples, got float64 array of shape (3, 2)",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], PROB, multi_class="ovr", labels=[]),
            "labels must hold a class for each example, got float64 array of shape (0,)",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], PROB, multi_class="ovr", max_fpr=0.5),
            "max_fpr must be left out with more than two classes",
        ),
        (lambda: roc_auc_score([0, 1], [0.1, 0.2], max_fpr=0.0), "max_fpr must be a number in (0, 1], got 0.0"),
        (
            lambda: roc_auc_score([0, 1, 2], PROB[:, :2], multi_class="ovr"),
            "y_score must have a column for each of the classes [0, 1, 2], got float64 array of shape (3, 2)",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], PROB[:, 0], multi_class="ovr"),
            "y_score must have a column for each of the classes [0, 1, 2], got float64 array of shape (3,)",
        ),
        (
            lambda: roc_auc_score([0, 1, 3], PROB, multi_class="ovr", labels=[0, 1, 2]),
            "y_score must have a column for each of the classes [0, 1, 2]",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], PROB, multi_class="ovr", labels=[0, 2, 1]),
            "labels must be sorted, each once, got [0, 2, 1]",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], 2 * PROB, multi_class="ovr"),
            "y_score must hold probabilities: its rows must sum to 1",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], PROB, multi_class="ovo", sample_weight=[1, 1, 1]),
            "sample_weight must be left out with multi_class='ovo'",
        ),
        (
            lambda: roc_auc_score([0, 1, 2], PROB, multi_class="ovo", average=None),
            "average must be one of 'macro', 'weighted', got None",
        ),
        (
            lambda: average_precision_score([0, 1, 2], PROB, average="binary"),
            "average must be one of None, 'macro', 'weighted', 'micro', got 'binary'",
        ),
        (
            lambda: average_precision_score([0, 1, 2], PROB, pos_label=2),
            "pos_label must be left out with more than two classes",
        ),
        (lambda: average_precision_score([0, 1], [1, 2], pos_label=3), "pos_label must be one of [0, 1], got 3"),
        (
            lambda: average_precision_score([0, 1, 2], PROB[:, :2]),
            "y_score must have a column for each of the classes [0, 1, 2], got float64 array of shape (3, 2)",
        ),
        (
            lambda: average_precision_score([0, 1, 2], [1, 2, 3]),
            "y_score must have a column for each of the classes [0, 1, 2], got float64 array of shape (3,)",
        ),
    ],
)
def test_bad_input_is_refused(refuses, call, message):
    refuses(call, (), ValueError, message)
