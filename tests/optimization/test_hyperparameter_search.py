"""Mirrors dlref/optimization/hyperparameter_search.py."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.ensemble import RandomForestRegressor

from dlref.optimization import (
    Halving,
    Scale,
    choice,
    grid_search,
    importance,
    linear_scale,
    log_scale,
    one_minus,
    random_search,
    successive_halving,
)

SPACE: dict[str, Scale] = {
    "lr": log_scale(1e-4, 1.0),
    "momentum": one_minus(log_scale(0.01, 1.0)),
    "units": choice(8, 16, 32),
    "decay": linear_scale(-1.0, 3.0),
}


@pytest.mark.verifies("eq-log-scale")
def test_five_log_spaced_values():
    values = [log_scale(1e-7, 1.0)(u) for u in np.linspace(0, 1, 5)]
    np.testing.assert_allclose(values, [1e-7, 5.62e-6, 3.16e-4, 1.78e-2, 1], rtol=2e-3)
    np.testing.assert_allclose(values, np.geomspace(1e-7, 1, 5))


@pytest.mark.verifies("eq-log-scale", "eq-one-minus")
@given(st.floats(0, 1))
def test_scales_are_scipys_quantiles(u):
    assert log_scale(1e-3, 10.0)(u) == pytest.approx(stats.loguniform(1e-3, 10.0).ppf(u))
    assert linear_scale(-2.0, 5.0)(u) == pytest.approx(stats.uniform(-2.0, 7.0).ppf(u))
    assert one_minus(log_scale(1e-3, 0.5))(u) == pytest.approx(1 - stats.loguniform(1e-3, 0.5).ppf(1 - u))
    assert choice("a", "b", "c")(u) == "abc"[min(2, int(3 * u))]


@pytest.mark.verifies("eq-one-minus")
def test_one_minus_rises_between_its_bounds():
    values = [one_minus(log_scale(0.001, 0.1))(u) for u in np.linspace(0, 1, 3)]
    np.testing.assert_allclose(values, [0.9, 0.99, 0.999])


def test_grid_has_all_combinations_and_the_bounds():
    u, found = grid_search(SPACE, 3)
    assert u.shape == (81, 4)
    assert len({tuple(c.values()) for c in found}) == 81
    assert [list(c) for c in found] == [list(SPACE)] * 81
    assert sorted({c["decay"] for c in found}) == [-1, 1, 3]
    assert {c["units"] for c in found} == {8, 16, 32}
    np.testing.assert_allclose(sorted({c["lr"] for c in found}), [1e-4, 1e-2, 1])
    assert found[0]["decay"] == -1
    assert found[1]["decay"] == 1, "the last changes fastest"
    assert grid_search(SPACE, 1)[1] == [
        {"lr": pytest.approx(0.01), "momentum": pytest.approx(0.9), "units": 16, "decay": 1}
    ]


def test_random_points_fill_the_cube_evenly_and_repeat():
    u, found = random_search(SPACE, 2000, seed=4)
    assert u.shape == (2000, 4)
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 0.1
    for row, configuration in zip(u[:20], found, strict=False):
        assert configuration == {name: scale(x) for (name, scale), x in zip(SPACE.items(), row, strict=True)}
    np.testing.assert_array_equal(random_search(SPACE, 5, seed=4)[0], u[:5])
    assert not np.array_equal(random_search(SPACE, 5)[0], u[:5])


@pytest.mark.verifies("eq-best-of-n")
@pytest.mark.parametrize(("n", "share"), [(1, 0.05), (60, 0.05), (14, 0.2)])
def test_chance_that_the_best_of_n_is_in_the_top(n, share):
    u = np.random.default_rng(0).uniform(size=(40_000, n))
    assert (u.min(1) < share).mean() == pytest.approx(1 - (1 - share) ** n, abs=0.01)


def counted(final, log, key, start=2.0):
    """A loss that falls geometrically to its final value, and says when it was asked; it ends, should one ask on."""
    for t in range(1, 500):
        log.append(key)
        yield final + start * 0.5**t


@pytest.mark.verifies("eq-halving-cost")
@pytest.mark.parametrize(("n", "eta", "budget"), [(27, 3, 1), (8, 2, 3), (9, 3, 2), (1, 3, 4)])
def test_halving_finds_the_best_and_spends_what_the_formula_says(n, eta, budget):
    log = []
    finals = np.random.default_rng(0).permutation(n) / n
    found = successive_halving({k: counted(finals[k], log, k) for k in range(n)}, eta=eta, budget=budget)
    rounds = round(math.log(n, eta))
    assert isinstance(found, Halving)
    assert found.best == finals.argmin()
    assert found.spent == len(log) == n * budget * (1 + rounds * (1 - 1 / eta))
    lengths = sorted((len(losses) for losses in found.losses.values()), reverse=True)
    assert lengths[0] == budget * eta**rounds
    assert lengths == sorted((len(losses) for losses in found.losses.values()), reverse=True)
    expected = [n // eta**k - n // eta ** (k + 1) for k in range(rounds)]
    assert [lengths.count(budget * eta**k) for k in range(rounds)] == expected


def test_halving_may_drop_a_late_bloomer():
    runs = {"fast": iter([0.5, 0.5, 0.5, 0.5]), "slow": iter([0.9, 0.1, 0.0, 0.0])}
    assert successive_halving(runs, eta=2).best == "fast"
    runs = {"fast": iter([0.5, 0.5, 0.5, 0.5]), "slow": iter([0.9, 0.1, 0.0, 0.0])}
    assert successive_halving(runs, eta=2, budget=2).best == "slow"


def test_nan_is_the_worst_and_a_run_that_ends_keeps_its_last_loss():
    runs = {"nan": itertools.repeat(math.nan, 500), "bad": itertools.repeat(9.0, 500), "short": iter([1.0])}
    found = successive_halving(runs, eta=3)
    assert found.best == "short"
    assert found.losses["short"] == [1.0]
    assert found.spent == 3
    hopeless = {"a": itertools.repeat(math.nan, 500), "b": itertools.repeat(math.inf, 500)}
    assert successive_halving(hopeless, eta=2).best in "ab"


def test_more_than_a_power_of_eta_and_a_last_round_of_less():
    finals = dict(enumerate(np.random.default_rng(1).permutation(10) / 10))
    found = successive_halving({k: counted(v, [], k) for k, v in finals.items()}, eta=3)
    assert finals[found.best] == 0
    assert sorted(map(len, found.losses.values())) == [1] * 7 + [3] * 2 + [9]


@pytest.mark.verifies("eq-main-effect")
def test_main_effects_of_a_known_function():
    """f = 2 a + b with even a and b: 4 to 1. An interaction without main effects explains nothing by itself."""
    u = np.random.default_rng(0).uniform(size=(800, 3))
    shares = importance(u, 2 * u[:, 0] + u[:, 1], ["a", "b", "c"])
    assert list(shares) == ["a", "b", "c"]
    np.testing.assert_allclose(list(shares.values()), [0.8, 0.2, 0], atol=0.05)
    only_together = np.sign(u[:, 0] - 0.5) * np.sign(u[:, 1] - 0.5)
    assert max(importance(u, only_together, ["a", "b", "c"]).values()) < 0.05


@pytest.mark.verifies("eq-main-effect")
def test_main_effect_is_the_variance_of_the_mean_over_the_others():
    u = np.random.default_rng(1).uniform(size=(60, 2))
    losses = np.exp(u[:, 0]) * (1 + u[:, 1])
    shares = importance(u, losses, ["a", "b"], seed=3)
    forest = RandomForestRegressor(100, min_samples_leaf=3, random_state=3).fit(u, losses)
    for j, name in enumerate("ab"):
        means = []
        for value in np.linspace(0.025, 0.975, 20):
            moved = u.copy()
            moved[:, j] = value
            means.append(forest.predict(moved).mean())
        assert shares[name] == pytest.approx(np.var(means) / forest.predict(u).var(), rel=1e-9)
    assert shares == importance(u, losses, ["a", "b"], seed=3) != importance(u, losses, ["a", "b"])


U = np.random.default_rng(0).uniform(size=(5, 2))
REFUSED = {
    "linear": (linear_scale, (1.0, 1.0), ValueError, "high must be a number in (1.0, inf), got 1.0"),
    "log low": (log_scale, (0.0, 1.0), ValueError, "low must be a number in (0, inf), got 0.0"),
    "log high": (log_scale, (2.0, 1.0), ValueError, "high must be a number in (2.0, inf), got 1.0"),
    "infinite": (linear_scale, (-math.inf, 1.0), ValueError, "low must be a number in (-inf, inf), got -inf"),
    "no scale": (one_minus, (0.9,), TypeError, "scale must be a function of a number in [0, 1], got 0.9 (float)"),
    "no choice": (choice, (), ValueError, "values must hold at least one value, got none"),
    "points": (grid_search, (SPACE, 0), ValueError, "points must be an integer >= 1, got 0"),
    "no space": (random_search, ({}, 3), ValueError, "space must name at least one hyperparameter, got none"),
    "no grid": (grid_search, ({}, 3), ValueError, "space must name at least one hyperparameter, got none"),
    "size": (random_search, (SPACE, 0), ValueError, "size must be an integer >= 1, got 0"),
    "seed": (lambda: random_search(SPACE, 1, seed=-1), (), ValueError, "seed must be an integer >= 0, got -1"),
    "eta": (lambda: successive_halving({1: iter([1.0])}, eta=1), (), ValueError, "eta must be an integer >= 2, got 1"),
    "budget": (
        lambda: successive_halving({1: iter([1.0])}, budget=0), (), ValueError, "budget must be an integer >= 1, got 0"
    ),
    "no runs": (successive_halving, ({},), ValueError, "runs must hold at least one run, got none"),
    "no loss": (successive_halving, ({"a": iter([])},), ValueError, "runs must give a loss each, got none from 'a'"),
    "names": (importance, (U, np.arange(5.0), ["a"]), ValueError, "u must have shape (n, d=1)"),
    "losses": (importance, (U, np.arange(4.0), ["a", "b"]), ValueError, "losses must have shape (n=5)"),
    "alike": (importance, (U, np.ones(5), ["a", "b"]), ValueError, "losses must differ, got 1.0 throughout"),
    "nan": (importance, (U, np.array([1, 2, 3, 4, np.nan]), ["a", "b"]), ValueError, "losses must be finite"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
