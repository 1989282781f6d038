"""Mirrors dlref/strategy/goals_and_metrics/calibration.py."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve as theirs
from torch.nn import functional as F

from dlref.strategy import calibration_curve, expected_calibration_error


@given(st.data(), st.integers(1, 7), st.sampled_from(["uniform", "quantile"]))
def test_curve_is_scikit_learns(scored, data, n_bins, strategy):
    true, prob, _ = data.draw(scored)
    settings = {"n_bins": n_bins, "strategy": strategy, "pos_label": data.draw(st.sampled_from([None, 0, 1]))}
    for one, other in zip(calibration_curve(true, prob, **settings), theirs(true, prob, **settings), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@given(st.data(), st.integers(1, 20), st.sampled_from(["uniform", "quantile"]))
@pytest.mark.verifies("eq-ece")
def test_calibration_error_is_that_of_its_curve(probable, data, n_bins, strategy):
    true, prob, _ = data.draw(probable)
    right, sure = (prob.argmax(1) == true).astype(int), prob.max(1)
    edges = np.linspace(0, 1, n_bins + 1) if strategy == "uniform" else np.quantile(sure, np.linspace(0, 1, n_bins + 1))
    total = 0.0
    for n, (low, high) in enumerate(pairwise(edges)):
        members = (sure > low if n else sure > -1) & ((sure <= high) | (n == n_bins - 1))
        total += abs(right[members].sum() - sure[members].sum())
    found = expected_calibration_error(true, prob, n_bins=n_bins, strategy=strategy)
    np.testing.assert_allclose(found, total / len(true), rtol=1e-9, atol=1e-12)


def test_settings_stand_at_their_defaults():
    rng = np.random.default_rng(0)
    true, prob = rng.integers(2, size=200), rng.random(200)
    assert len(calibration_curve(true, prob)[0]) == 5
    rows = np.stack([prob, 1 - prob], 1)
    assert expected_calibration_error(true, rows) == expected_calibration_error(true, rows, n_bins=15)
    assert expected_calibration_error(true, rows) != expected_calibration_error(true, rows, n_bins=14)


def test_two_answers_in_one_bin_and_in_two():
    """0.95 and right, 1.0 and wrong. A confidence of one gets no bin of its own."""
    prob = np.array([[0.95, 0.05], [1.0, 0.0]])
    assert round(expected_calibration_error([0, 1], prob, n_bins=1), 12) == 0.475
    assert round(expected_calibration_error([0, 1], prob, n_bins=10), 12) == 0.475
    assert round(expected_calibration_error([0, 1], prob, n_bins=2, strategy="quantile"), 12) == 0.525


def test_label_smoothing_at_its_optimum():
    """The best answer to smoothed labels is the smoothed label, however right it is."""
    target = torch.full((1, 10), 0.01, dtype=torch.float64)
    target[0, 3] = 0.91
    loss = F.cross_entropy(target.log(), torch.tensor([3]), label_smoothing=0.1)
    assert round(loss.item(), 4) == 0.5003
    logits = target.log().requires_grad_()
    smoothed = F.cross_entropy(logits, torch.tensor([3]), label_smoothing=0.1)
    (gradient,) = torch.autograd.grad(smoothed, logits)
    assert gradient.abs().max() < 1e-12
    assert round(expected_calibration_error([3], target.numpy()), 12) == 0.09


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibration_curve([0, 1], [0.1, 1.2]), "y_prob must hold probabilities in [0, 1]"),
        (lambda: calibration_curve([0, 1], [-0.1, 0.2]), "y_prob must hold probabilities in [0, 1]"),
        (lambda: calibration_curve([0, 1], [0.1]), "y_prob must hold a number for each of 2 examples"),
        (
            lambda: calibration_curve([0, 1, 2], [0.1, 0.2, 0.3], pos_label=1),
            "y_true must hold two classes at most",
        ),
        (lambda: calibration_curve([0, 1], [0.1, 0.2], n_bins=0), "n_bins must be an integer >= 1, got 0"),
        (
            lambda: calibration_curve([0, 1], [0.1, 0.2], strategy="equal"),
            "strategy must be one of 'uniform', 'quantile', got 'equal'",
        ),
        (
            lambda: expected_calibration_error([0, 2], [[0.5, 0.5]] * 2),
            "y_prob must have a column for each class from 0 to the largest of y_true, got float64 array",
        ),
        (lambda: expected_calibration_error([-1, 1], [[0.5, 0.5]] * 2), "y_prob must have a column for each class"),
        (lambda: expected_calibration_error(["a"], [[0.5, 0.5]]), "y_prob must have a column for each class"),
        (lambda: expected_calibration_error([0], [0.5]), "y_prob must have a column for each class"),
        (lambda: expected_calibration_error([0], [[1.5, 0.5]]), "y_prob must hold probabilities in [0, 1]"),
    ],
)
def test_bad_input_is_refused(refuses, call, message):
    refuses(call, (), ValueError, message)
