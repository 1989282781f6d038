"""Mirrors dlref/generalization/ensembles.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlref.generalization import Bagging, Moments, bagging, bootstrap, ensemble_mse, error_moments, majority_vote


@pytest.mark.verifies("eq-ensemble-mse")
@pytest.mark.parametrize("k", [1, 2, 5, 20])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, None])
def test_error_of_an_average_by_simulation(k, share):
    """Correlated normal errors with V = 2 and C = share V, or the most negative C that there can be."""
    covariance = 2 * share if share is not None else -2 / max(k - 1, 1)
    matrix = np.full((k, k), covariance) + (2 - covariance) * np.eye(k)
    errors = np.linalg.cholesky(matrix + 1e-12 * np.eye(k)) @ np.random.default_rng(0).normal(size=(k, 200_000))
    expected = ensemble_mse(2.0, covariance, k)
    assert (errors.mean(0) ** 2).mean() == pytest.approx(expected, rel=0.02, abs=1e-6)


@pytest.mark.verifies("eq-ensemble-mse")
@given(st.integers(2, 9), st.integers(0, 100))
def test_measured_moments_satisfy_the_formula_exactly(k, seed):
    errors = np.random.default_rng(seed).normal(size=(k, 30)) + 0.5
    found = error_moments(errors)
    assert found.ensemble == pytest.approx((errors.mean(0) ** 2).mean())
    assert found.variance == pytest.approx((errors**2).mean())
    pairs = [(errors[i] * errors[j]).mean() for i in range(k) for j in range(k) if i != j]
    assert found.covariance == pytest.approx(np.mean(pairs))
    assert found.ensemble == pytest.approx(ensemble_mse(found.variance, found.covariance, k))


def test_moments_of_several_outputs():
    errors = np.random.default_rng(0).normal(size=(3, 20, 4))
    assert error_moments(errors) == pytest.approx(error_moments(errors.reshape(3, 80)))
    assert isinstance(error_moments(errors), Moments)


@pytest.mark.verifies("eq-ambiguity")
@given(st.integers(1, 6), st.integers(0, 100))
def test_the_mean_gains_what_the_models_disagree(k, seed):
    rng = np.random.default_rng(seed)
    f, y = rng.normal(size=(k, 5)), rng.normal(size=5)
    expected = ((f - y) ** 2).mean(0) - ((f - f.mean(0)) ** 2).mean(0)
    np.testing.assert_allclose((f.mean(0) - y) ** 2, expected, atol=1e-12)


@pytest.mark.verifies("eq-least-covariance")
def test_covariance_has_a_floor():
    """Errors that sum to zero reach it; below it no errors exist."""
    errors = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [-1.0, 0.0, 1.0]])
    found = error_moments(errors)
    assert found.covariance == pytest.approx(-found.variance / 2)
    assert ensemble_mse(found.variance, found.covariance, 3) == pytest.approx(0, abs=1e-12)
    assert ensemble_mse(1.0, -1.0, 1) == 1


@pytest.mark.verifies("eq-bootstrap-share")
def test_share_that_a_bootstrap_sample_leaves_out():
    shares = [bootstrap(50, seed=s)[1].mean() for s in range(2000)]
    assert np.mean(shares) == pytest.approx((1 - 1 / 50) ** 50, abs=0.003)
    assert pytest.approx(math.exp(-1), rel=1e-3) == (1 - 1 / 10_000) ** 10_000


@given(st.integers(1, 60), st.integers(0, 50))
def test_sample_and_what_it_leaves_out(m, seed):
    sample, left_out = bootstrap(m, seed=seed)
    assert sample.shape == left_out.shape == (m,)
    assert set(sample) == set(np.flatnonzero(~left_out))
    np.testing.assert_array_equal(bootstrap(m, seed=seed)[0], sample)


def test_draws_are_even_and_seeds_differ():
    counts = np.bincount(np.concatenate([bootstrap(20, seed=s)[0] for s in range(500)]), minlength=20)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert not np.array_equal(bootstrap(50)[0], bootstrap(50, seed=1)[0])
    np.testing.assert_array_equal(bootstrap(50)[0], bootstrap(50, seed=0)[0])


@given(st.integers(1, 7), st.integers(0, 100))
def test_majority_is_the_mode(k, seed):
    votes = np.random.default_rng(seed).integers(4, size=(k, 12))
    np.testing.assert_array_equal(majority_vote(votes, 4), stats.mode(votes, axis=0).mode)
    np.testing.assert_array_equal(
        majority_vote(votes.reshape(k, 3, 4), 6), stats.mode(votes, axis=0).mode.reshape(3, 4)
    )


@pytest.mark.verifies("eq-jury")
def test_a_jury_of_independent_voters():
    right = np.random.default_rng(0).uniform(size=(11, 100_000)) < 0.6
    found = majority_vote(right.astype(int), 2).mean()
    assert found == pytest.approx(stats.binom.sf(5, 11, 0.6), abs=0.005)
    assert found == pytest.approx(sum(math.comb(11, j) * 0.6**j * 0.4 ** (11 - j) for j in range(6, 12)), abs=0.005)


def test_bagging_fits_each_model_to_its_own_sample():
    seen = []

    def fit(rows, number):
        seen.append((rows, number))
        return lambda x: x * (number + 1)

    found = bagging(fit, 30, 3, seed=5)
    assert [number for _, number in seen] == [0, 1, 2]
    for i, (rows, _) in enumerate(seen):
        sample, left_out = bootstrap(30, seed=5 + i)
        np.testing.assert_array_equal(rows, sample)
        np.testing.assert_array_equal(found.left_out[i], left_out)
    np.testing.assert_allclose(found.predict(np.array([1.0, 10.0])), [2.0, 20.0])
    np.testing.assert_array_equal(bagging(fit, 30, 2).left_out, bagging(fit, 30, 2, seed=0).left_out)


def test_out_of_bag_asks_only_models_that_have_not_seen_the_example():
    left_out = np.array([[True, False, False], [True, True, False]])
    models = [lambda x: np.full((len(x), 2), 1.0), lambda x: np.full((len(x), 2), 5.0)]
    found = Bagging(models, left_out).out_of_bag(np.zeros(3))
    np.testing.assert_array_equal(found, [[3, 3], [5, 5], [np.nan, np.nan]])
    flat = Bagging([lambda x: x, lambda x: 3 * x], left_out).out_of_bag(np.array([1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(flat, [2, 6, np.nan])


REFUSED = {
    "variance": (ensemble_mse, (-1.0, 0.0, 2), ValueError, "variance must be a number in [0, inf), got -1.0"),
    "models": (ensemble_mse, (1.0, 0.0, 0), ValueError, "k must be an integer >= 1, got 0"),
    "too large": (ensemble_mse, (1.0, 1.1, 2), ValueError, "covariance must be a number in [-1.0"),
    "too small": (ensemble_mse, (1.0, -0.6, 3), ValueError, "covariance must be a number in [-0.5"),
    "one model": (error_moments, (np.ones((1, 4)),), ValueError, "errors must have shape (k >= 2, examples), got floa"),
    "no examples": (error_moments, (np.ones(4),), ValueError, "errors must have shape (k >= 2, examples), got float64"),
    "nan": (error_moments, (np.array([[1.0], [np.nan]]),), ValueError, "errors must be finite, got 1 NaN or infinite"),
    "m": (bootstrap, (0,), ValueError, "m must be an integer >= 1, got 0"),
    "seed": (lambda: bootstrap(3, seed=-1), (), ValueError, "seed must be an integer >= 0, got -1"),
    "votes": (majority_vote, (np.ones((2, 2)), 2), TypeError, "votes must be an array of class indices of shape (k, e"),
    "list": (majority_vote, ([[1]], 2), TypeError, "votes must be an array of class indices of shape (k, examples), g"),
    "scalar": (majority_vote, (np.array(1), 2), TypeError, "votes must be an array of class indices of shape (k, exam"),
    "nobody": (majority_vote, (np.ones((0, 2), int), 2), TypeError, "votes must be an array of class indices of shape"),
    "class": (majority_vote, (np.array([[0, 3]]), 3), ValueError, "votes must be in [0, 3), got values from 0 to 3"),
    "negative": (majority_vote, (np.array([[0, -1]]), 3), ValueError, "votes must be in [0, 3), got values from -1 to"),
    "classes": (majority_vote, (np.array([[0]]), 0), ValueError, "num_classes must be an integer >= 1, got 0"),
    "examples": (bagging, (max, 0, 2), ValueError, "m must be an integer >= 1, got 0"),
    "k": (bagging, (max, 2, 0), ValueError, "k must be an integer >= 1, got 0"),
    "bagging seed": (lambda: bagging(max, 2, 2, seed=-1), (), ValueError, "seed must be an integer >= 0, got -1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
