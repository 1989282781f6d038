"""Mirrors dlref/strategy/goals_and_metrics/retrieval.py."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from dlref.strategy import f1_score, fbeta_score, precision_score, recall_score, zero_one_loss

PAIRS = {precision_score: metrics.precision_score, recall_score: metrics.recall_score, f1_score: metrics.f1_score}


def same(ours, theirs, *arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both warn of what is undefined, in other words
        found, wanted = ours(*arguments, **settings), theirs(*arguments, **settings)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@given(st.data(), st.sampled_from([0.0, 1.0, np.nan, "warn"]))
@pytest.mark.verifies("eq-precision-recall", "eq-f1")
def test_two_classes_are_scikit_learns(labelled, data, zero_division):
    true, pred, weight = data.draw(labelled([0, 1]))
    positive = data.draw(st.sampled_from([0, 1]))
    settings = {"pos_label": positive, "sample_weight": weight, "zero_division": zero_division}
    if len(np.union1d(true, pred)) == 1:
        settings["pos_label"] = 1
    for ours, theirs in PAIRS.items():
        same(ours, theirs, true, pred, **settings)
    for beta in (0.0, 0.5, 2.0, np.inf):
        same(fbeta_score, metrics.fbeta_score, true, pred, beta=beta, **settings)


@given(st.data(), st.sampled_from([None, "macro", "weighted", "micro"]), st.sampled_from([0.0, 1.0, np.nan]))
def test_several_classes_are_scikit_learns(labelled, data, average, zero_division):
    true, pred, weight = data.draw(labelled())
    every = [*np.union1d(true, pred), *(["zz"] if true.dtype.kind == "U" else [9])]
    labels = data.draw(st.none() | st.lists(st.sampled_from(every), min_size=1, unique=True))
    settings = {"labels": labels, "average": average, "sample_weight": weight, "zero_division": zero_division}
    for ours, theirs in PAIRS.items():
        same(ours, theirs, true, pred, **settings)
    same(fbeta_score, metrics.fbeta_score, true, pred, beta=0.5, **settings)


@pytest.mark.verifies("eq-precision-recall", "eq-f1")
def test_the_worked_example():
    """8 true positives, 2 false ones, 8 missed, 82 true negatives."""
    true = np.repeat([1, 0, 1, 0], [8, 2, 8, 82])
    pred = np.repeat([1, 1, 0, 0], [8, 2, 8, 82])
    assert zero_one_loss(true, pred) == 0.1
    assert precision_score(true, pred) == 0.8
    assert recall_score(true, pred) == 0.5
    assert f1_score(true, pred) == 16 / 26
    assert round(f1_score(true, pred, pos_label=0), 3) == 0.943


def test_three_classes():
    true = np.repeat([0, 1, 2], [90, 10, 10])
    pred = np.repeat([0, 0, 1, 0, 2], [90, 5, 5, 9, 1])
    assert np.round(f1_score(true, pred, average=None), 3).tolist() == [0.928, 0.667, 0.182]
    assert round(f1_score(true, pred, average="macro"), 3) == 0.592
    assert f1_score(true, pred, average="micro") == pytest.approx(1 - zero_one_loss(true, pred), rel=1e-12)
    assert round(f1_score(true, pred, average="micro"), 3) == 0.873
    p, r = (score(true, pred, average="macro") for score in (precision_score, recall_score))
    assert round(2 * p * r / (p + r), 3) == 0.684


def test_means_over_batches_are_another_number():
    true, pred = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert recall_score(true, pred) == 0.5
    parts = [recall_score(true[i], pred[i], zero_division=0.0) for i in (slice(0, 2), slice(2, 4))]
    assert np.mean(parts) == 0.25


@pytest.mark.parametrize(
    ("score", "true", "pred", "words"),
    [
        (precision_score, [0, 1], [0, 0], "precision: nothing was called positive; the score is set to 0"),
        (recall_score, [0, 0], [0, 1], "recall: no example is positive; the score is set to 0"),
        (f1_score, [0, 0], [0, 0], "F: no example is positive, and none was called so; the score is set to 0"),
    ],
)
def test_what_is_undefined_is_said(score, true, pred, words):
    with pytest.warns(UserWarning, match="^" + words):
        assert score(true, pred) == 0
    assert score(true, pred, zero_division=0.5) == 0.5
    assert np.isnan(score(true, pred, zero_division=np.nan))


def test_bad_input_is_refused(refuses):
    words = (
        "average must be None, 'macro', 'weighted' or 'micro' with more than two classes, got 'binary' and 3 classes"
    )
    refuses(precision_score, ([0, 1, 2], [0, 1, 2]), ValueError, words)
    refuses(lambda: f1_score([0, 1], [0, 1], pos_label=2), (), ValueError, "pos_label must be one of [0, 1], got 2")
    words = "average must be one of 'binary', None, 'macro', 'weighted', 'micro', got 'samples'"
    refuses(lambda: recall_score([0, 1], [0, 1], average="samples"), (), ValueError, words)
    words = "zero_division must be 'warn' or a number, got 'no'"
    refuses(lambda: recall_score([0, 0], [0, 1], zero_division="no"), (), ValueError, words)
    words = "beta must be a number in [0, inf], got -1.0"
    refuses(lambda: fbeta_score([0, 1], [0, 1], beta=-1.0), (), ValueError, words)
    words = "labels must name each class once, got [1, 1]"
    refuses(lambda: f1_score([0, 1], [0, 1], labels=[1, 1], average=None), (), ValueError, words)
