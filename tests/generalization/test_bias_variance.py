"""Mirrors dlref/generalization/bias_variance.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlref.generalization import Decomposition, Diagnosis, decompose, diagnose, repeated_fits

POINTS = np.linspace(0.1, 0.9, 9)


def wave(x):
    return np.sin(2 * np.pi * x)


def line(x, y):
    return np.polynomial.Polynomial.fit(x, y, 1, domain=[0, 1])


def test_draws_are_as_they_were_ordered():
    seen = []

    def fit(x, y):
        seen.append((x, y))
        return lambda at: np.full(len(at), float(len(seen)))

    found = repeated_fits(fit, wave, POINTS, size=4000, noise=0.5, draws=3)
    np.testing.assert_array_equal(found, np.repeat([[1.0], [2], [3]], 9, axis=1))
    for x, y in seen:
        assert x.shape == y.shape == (4000,)
        assert 0 <= x.min() < 0.01
        assert 0.99 < x.max() < 1
        residual = y - wave(x)
        assert residual.std() == pytest.approx(0.5, rel=0.05)
        assert abs(residual.mean()) < 0.03
    assert not np.array_equal(seen[0][0], seen[1][0])


def test_defaults_and_seed():
    seen = []

    def fit(x, y):
        return (seen.append((x, y)), lambda at: at)[1]

    assert repeated_fits(fit, lambda x: 0 * x, POINTS).shape == (200, 9)
    x, y = map(np.concatenate, zip(*seen, strict=True))
    assert len(x) == 200 * 25
    assert y.std() == pytest.approx(0.3, rel=0.05)
    fits = [repeated_fits(line, wave, POINTS, draws=2, **s) for s in ({}, {"seed": 0}, {"seed": 1})]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.allclose(fits[0], fits[2])


@pytest.mark.verifies("eq-variance")
@given(st.integers(2, 30), st.integers(0, 100))
def test_sum_is_the_mean_squared_distance(draws, seed):
    """An identity, not an expectation: mean (f_r - f)^2 = (mean f_r - f)^2 + variance without its correction."""
    rng = np.random.default_rng(seed)
    f, truth = rng.normal(size=(draws, 4)), rng.normal(size=4)
    bias_squared, variance = decompose(f, truth)
    np.testing.assert_allclose(variance, f.var(0) * draws / (draws - 1))
    np.testing.assert_allclose(bias_squared + variance, ((f - truth) ** 2).mean(0))


@pytest.mark.verifies("eq-bias")
def test_estimates_have_no_bias_of_their_own():
    """Five draws of known mean and variance, many times: the estimates hit both on average."""
    f = 3 + 2 * np.random.default_rng(0).normal(size=(5, 40_000))
    found = decompose(f, np.full(40_000, 1.0))
    for values, expected in ((found.bias_squared, 4), (found.variance, 4)):
        assert values.mean() == pytest.approx(expected, abs=4 * values.std() / 200)


@pytest.mark.verifies("eq-decomposition")
def test_error_on_fresh_targets_is_bias_variance_and_noise():
    fits = repeated_fits(line, wave, POINTS, noise=0.4, draws=4000)
    fresh = wave(POINTS) + 0.4 * np.random.default_rng(1).normal(size=fits.shape)
    errors = ((fits - fresh) ** 2).mean(1)
    expected = decompose(fits, wave(POINTS)).error(noise=0.4).mean()
    assert errors.mean() == pytest.approx(expected, abs=4 * errors.std() / math.sqrt(4000))
    np.testing.assert_allclose(Decomposition(np.array([1.0]), np.array([2.0])).error(), [3])


def test_truth_of_several_axes():
    f = np.random.default_rng(0).normal(size=(7, 3, 2))
    found = decompose(f, np.zeros((3, 2)))
    assert found.variance.shape == found.bias_squared.shape == (3, 2)
    np.testing.assert_allclose(found.variance, f.var(0, ddof=1))


@pytest.mark.verifies("eq-optimism")
def test_optimism_of_least_squares():
    """p coefficients, m points: training error s^2 (1 - p/m), error on fresh targets there s^2 (1 + p/m)."""
    rng = np.random.default_rng(0)
    design = np.vander(rng.uniform(size=20), 5)
    hat = design @ np.linalg.pinv(design)
    y, fresh = rng.normal(size=(2, 20, 30_000))
    train, test = ((hat @ y - y) ** 2).mean(0), ((hat @ y - fresh) ** 2).mean(0)
    assert train.mean() == pytest.approx(1 - 5 / 20, rel=0.01)
    assert (test - train).mean() == pytest.approx(2 * 5 / 20, rel=0.02)


SIZES = [100, 200, 400]
MODEL, DATA, OTHER = "larger model or longer training", "more data", "regularisation or another model"


@pytest.mark.parametrize(
    ("train", "dev", "target", "advice"),
    [
        ([0.30, 0.31, 0.32], [0.36, 0.34, 0.325], 0.0, (MODEL,)),
        ([0.00, 0.00, 0.00], [0.20, 0.15, 0.10], 0.0, (DATA,)),
        ([0.00, 0.00, 0.00], [0.12, 0.101, 0.10], 0.0, (OTHER,)),
        ([0.05, 0.05, 0.05], [0.30, 0.25, 0.20], 0.0, (DATA, MODEL)),
        ([0.25, 0.25, 0.25], [0.40, 0.35, 0.30], 0.0, (MODEL, DATA)),
        ([0.25, 0.25, 0.25], [0.40, 0.35, 0.30], 0.25, (DATA,)),
        ([0.01, 0.01, 0.01], [0.02, 0.02, 0.02], 0.0, ()),
    ],
)
def test_advice(train, dev, target, advice):
    found = diagnose(SIZES, train, dev, target=target)
    assert isinstance(found, Diagnosis)
    assert found.advice == advice
    assert found.bias == pytest.approx(train[-1] - target)
    assert found.variance == pytest.approx(dev[-1] - train[-1])
    assert found.gain == pytest.approx(dev[-2] - dev[-1])


def test_gain_is_read_between_the_sizes_and_tolerance_counts():
    found = diagnose([100, 1600], [0.0, 0.0], [0.5, 0.1])
    assert found.gain == pytest.approx(0.1)  # a quarter of the way on a logarithmic axis
    assert diagnose([100, 200], [0.0, 0.0], [0.3, 0.25], tolerance=0.06).advice == (OTHER,)
    assert diagnose([100, 200], [0.0, 0.0], [0.3, 0.25], tolerance=0.3).advice == ()
    assert diagnose([100, 200], [0.02, 0.02], [0.025, 0.025]) == diagnose(
        [100, 200], [0.02, 0.02], [0.025, 0.025], target=0.0, tolerance=0.01
    )


REFUSED = {
    "points": (repeated_fits, (line, wave, [0.5]), TypeError, "points must be a NumPy array of shape (points), got"),
    "size": (lambda: repeated_fits(line, wave, POINTS, size=0), (), ValueError, "size must be an integer >= 1, got 0"),
    "draws": (lambda: repeated_fits(line, wave, POINTS, draws=0), (), ValueError, "draws must be an integer >= 1"),
    "noise": (lambda: repeated_fits(line, wave, POINTS, noise=-1.0), (), ValueError, "noise must be a number in [0, i"),
    "seed": (lambda: repeated_fits(line, wave, POINTS, seed=-1), (), ValueError, "seed must be an integer >= 0, got -"),
    "shape": (
        decompose, (np.ones((5, 3)), np.ones(4)), ValueError,
        "predictions must have shape (draws >= 2, 4), got float64 array of shape (5, 3)",
    ),
    "one draw": (decompose, (np.ones((1, 4)), np.ones(4)), ValueError, "predictions must have shape (draws >= 2, 4)"),
    "truth": (decompose, (np.ones((2, 1)), np.array([np.nan])), ValueError, "truth must be finite, got 1 NaN"),
    "predictions": (decompose, ([[1.0]], np.ones(1)), TypeError, "predictions must be a NumPy array"),
    "error noise": (lambda: Decomposition(np.ones(1), np.ones(1)).error(-1.0), (), ValueError, "noise must be a num"),
    "lengths": (
        diagnose, ([1, 2], [0.1], [0.2, 0.1]), ValueError,
        "sizes, train_errors and dev_errors must be of one length, got 2, 1 and 2",
    ),
    "no sizes": (diagnose, ([], [], []), ValueError, "sizes must rise by a factor of two or more, got []"),
    "falling": (diagnose, ([9, 4, 20], [0.0] * 3, [0.0] * 3), ValueError, "sizes must rise by a factor of two"),
    "equal": (diagnose, ([1, 4, 4], [0.0] * 3, [0.0] * 3), ValueError, "sizes must rise by a factor of two"),
    "narrow": (diagnose, ([3, 5], [0.0] * 2, [0.0] * 2), ValueError, "sizes must rise by a factor of two or more, got"),
    "sizes": (diagnose, ([0, 5], [0.0] * 2, [0.0] * 2), ValueError, "sizes must be an integer >= 1, got 0"),
    "train": (diagnose, ([1, 5], [math.nan] * 2, [0.0] * 2), ValueError, "train_errors must be a number in (-inf"),
    "dev": (diagnose, ([1, 5], [0.0] * 2, [math.inf] * 2), ValueError, "dev_errors must be a number in (-inf, inf)"),
    "target": (lambda: diagnose(SIZES, [0.0] * 3, [0.0] * 3, target=math.nan), (), ValueError, "target must be a num"),
    "tolerance": (
        lambda: diagnose(SIZES, [0.0] * 3, [0.0] * 3, tolerance=-1.0), (), ValueError, "tolerance must be a number in ["
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
