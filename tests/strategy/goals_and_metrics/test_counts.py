"""Mirrors dlref/strategy/goals_and_metrics/counts.py."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from dlref.strategy import confusion_matrix, zero_one_loss


@given(st.data())
def test_error_is_scikit_learns(labelled, data):
    true, pred, weight = data.draw(labelled())
    for normalize in (True, False):
        found = zero_one_loss(true, pred, normalize=normalize, sample_weight=weight)
        theirs = metrics.zero_one_loss(true, pred, normalize=normalize, sample_weight=weight)
        np.testing.assert_allclose(found, theirs, rtol=1e-12, atol=1e-12)


@given(st.data(), st.sampled_from([None, "true", "pred", "all"]))
def test_confusion_is_scikit_learns(labelled, data, normalize):
    true, pred, weight = data.draw(labelled())
    every = np.union1d(true, pred)
    labels = data.draw(
        st.none() | st.permutations(list(every)).map(lambda names: names[: data.draw(st.integers(1, 4))])
    )
    if labels is not None and not set(labels) & set(true):
        labels = None
    found = confusion_matrix(true, pred, labels=labels, sample_weight=weight, normalize=normalize)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs says that one class is few
        theirs = metrics.confusion_matrix(true, pred, labels=labels, sample_weight=weight, normalize=normalize)
    np.testing.assert_allclose(found, theirs, rtol=1e-12, atol=1e-12)
    assert found.dtype == theirs.dtype


def test_order_of_examples_does_not_matter():
    rng = np.random.default_rng(0)
    true, pred, weight = rng.integers(4, size=50), rng.integers(4, size=50), rng.random(50)
    order = rng.permutation(50)
    one = confusion_matrix(true, pred, sample_weight=weight)
    np.testing.assert_allclose(confusion_matrix(true[order], pred[order], sample_weight=weight[order]), one)


@pytest.mark.verifies("eq-weighted-error")
def test_heavy_mistakes():
    """1000 images, ten of weight ten: 30 mistakes of which 5 are heavy, or 50 light ones."""
    weight = np.ones(1000)
    weight[:10] = 10
    true = np.zeros(1000, dtype=int)
    few, many = true.copy(), true.copy()
    few[:5] = few[10:35] = 1
    many[10:60] = 1
    assert few.sum() == 30
    assert many.sum() == 50
    assert zero_one_loss(true, few, sample_weight=weight) == 75 / 1090
    assert zero_one_loss(true, many, sample_weight=weight) == 50 / 1090
    assert zero_one_loss(true, 1 - true, sample_weight=weight) == 1
    assert zero_one_loss(true, 1 - true, sample_weight=weight, normalize=False) / 1000 == 1.09


def test_what_other_code_hands_over(unchecked):
    """Tensors, lists, columns of objects, truth values, whole numbers as floats."""
    assert zero_one_loss(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])) == 1 / 3
    assert zero_one_loss([True, False], [True, True]) == 0.5
    assert zero_one_loss(np.array(["a", "b"], dtype=object), ["a", "a"]) == 0.5
    assert zero_one_loss([0.0, 1.0], [0, 0]) == 0.5
    counts = confusion_matrix([0, 1], [0, 0], sample_weight=[2, 3])
    assert counts.dtype == np.int64
    assert counts.tolist() == [[2, 0], [3, 0]]


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (([], []), {}, "y_true must hold a class for each example, got float64 array of shape (0,)"),
        (([[0]], [0]), {}, "y_true must hold a class for each example, got int64 array of shape (1, 1)"),
        (([None], [0]), {}, "y_true must hold a class for each example, got object array"),
        (([0, 1], [0]), {}, "y_pred must have length 2, got 1"),
        (([0, 1], [0.2, 0.8]), {}, "y_pred must hold classes, got fractions or NaN"),
        (([0, 1], [0.0, np.nan]), {}, "y_pred must hold classes, got fractions or NaN"),
        (([0, 1], ["a", "b"]), {}, "y_pred must hold classes of the kind of y_true's, int64, got <U1"),
        (([0, 1], [0, 1]), {"sample_weight": [1]}, "sample_weight must hold 2 numbers, got int64 array of shape (1,)"),
        (([0, 1], [0, 1]), {"sample_weight": ["a", "b"]}, "sample_weight must hold 2 numbers, got <U1 array"),
        (([0, 1], [0, 1]), {"sample_weight": [1, -1]}, "sample_weight must be finite and >= 0, and not zero"),
        (([0, 1], [0, 1]), {"sample_weight": [1, np.inf]}, "sample_weight must be finite and >= 0, and not zero"),
        (([0, 1], [0, 1]), {"sample_weight": [0, 0]}, "sample_weight must be finite and >= 0, and not zero"),
        (([0, 1], [0, 1]), {"normalize": "row"}, "normalize must be one of None, 'true', 'pred', 'all', got 'row'"),
        (([0, 1], [0, 1]), {"labels": [1, 1]}, "labels must name each class once, got [1, 1]"),
        (([0, 1], [0, 1]), {"labels": [2]}, "labels must name at least one class that occurs in y_true"),
        (([0, 1], [0, 1]), {"labels": []}, "labels must hold a class for each example"),
    ],
)
def test_bad_input_is_refused(refuses, arguments, settings, message):
    refuses(lambda: confusion_matrix(*arguments, **settings), (), ValueError, message)
