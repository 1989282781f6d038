"""Mirrors dlref/train/repeat.py."""

import math
import re

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlref.train import Comparison, Repeated, compare, repeat


def test_each_run_gets_its_seed_and_so_do_the_generators():
    seen = repeat(lambda seed: {"seed": seed, "torch": torch.rand(()), "numpy": np.random.rand()}, seeds=[3, 1])
    assert set(seen) == {"seed", "torch", "numpy"}
    assert seen["seed"].values.tolist() == [3, 1]
    assert seen["seed"].seeds == (3, 1)
    torch.manual_seed(3)
    assert seen["torch"].values[0] == torch.rand(()).item()
    again = repeat(lambda _: torch.rand(()), seeds=[1, 3])
    assert again.values.tolist() == seen["torch"].values[::-1].tolist()
    assert repeat(float).seeds == (0, 1, 2, 3, 4), "five by default"


def test_mean_and_spread_are_those_of_a_sample():
    runs = repeat(lambda seed: (2.0, 4.0, 9.0)[seed], seeds=3)
    assert isinstance(runs, Repeated)
    assert runs.mean == 5
    assert runs.spread == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert str(runs) == "5 ± 3.6 (3 seeds)"
    assert math.isnan(repeat(float, seeds=1).spread)


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=9))
def test_paired_t_test_is_scipys(pairs):
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    got = compare(a, b)
    if np.ptp(a - b) < 1e-6:
        return  # a spread of zero but for rounding: no statistic to compare
    expected = scipy.stats.ttest_rel(a, b)
    assert got.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    low, high = expected.confidence_interval(0.95)
    assert (got.low, got.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert got.difference == pytest.approx((a - b).mean())
    assert (got.size, got.pairs, got.confidence) == (len(a), "examples", 0.95)


def test_seeds_are_pairs_and_a_wider_interval_is_surer():
    a, b = Repeated(np.array([1.0, 2.0, 3.0]), (0, 1, 2)), Repeated(np.array([0.5, 1.6, 2.4]), (0, 1, 2))
    got, wide = compare(a, b), compare(a, b, confidence=0.999)
    assert got.pairs == "seeds"
    assert got.difference == pytest.approx(0.5)
    assert got.larger_than_chance
    assert wide.low < 0 < wide.high
    assert not wide.larger_than_chance
    assert str(got) == "0.5 [0.25, 0.75], p = 0.013 (3 seeds)"
    assert compare(b, a).difference == -got.difference


def test_right_and_wrong_by_hand():
    """Of ten examples on which two classifiers disagree, the first is wrong on one: 2 * (1 + 10) / 2**10."""
    first_wrong = np.array([True] + [False] * 9 + [True] * 5 + [False] * 85)
    second_wrong = np.array([False] + [True] * 9 + [True] * 5 + [False] * 85)
    got = compare(first_wrong, second_wrong)
    assert got.p_value == pytest.approx(22 / 1024)
    assert got.difference == pytest.approx(-0.08)
    assert got.high < 0
    assert compare(first_wrong, first_wrong) == Comparison(0.0, 0.0, 0.0, 1.0, 100, "examples", 0.95)


def test_differences_without_a_spread():
    a = np.array([1.0, 2.0, 3.0])
    assert compare(a, a).p_value == 1
    moved = compare(a + 1, a)
    assert (moved.low, moved.high, moved.p_value) == (1, 1, 0)


RUNS = Repeated(np.array([1.0, 2.0]), (0, 1))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: repeat(float, 0), ValueError, "seeds must be an integer >= 1, got 0"),
        (lambda: repeat(float, []), ValueError, "seeds must be at least one, each once, got ()"),
        (lambda: repeat(float, [1, 1]), ValueError, "seeds must be at least one, each once, got (1, 1)"),
        (lambda: repeat(float, [0.5]), TypeError, "seeds must be an integer in [0, 4294967295], got 0.5 (float)"),
        (lambda: repeat(lambda _: "x"), TypeError, "run must return numbers, got 'x' (str)"),
        (lambda: repeat(lambda _: torch.zeros(2)), TypeError, "run must return numbers, got torch.float32 tensor of"),
        (lambda: repeat(lambda s: {str(s): 1}), ValueError, "run must return the names ['0'], got ['1']"),
        (lambda: compare(RUNS, Repeated(RUNS.values, (0, 2))), ValueError, "b must have the seeds of a, (0, 1), got"),
        (lambda: compare(RUNS, RUNS.values), TypeError, "a must be a NumPy array of shape (N), got Repeated("),
        (lambda: compare(np.ones(3), np.ones(2)), ValueError, "a and b must be of one length, at least 2, got 3 and 2"),
        (lambda: compare(np.ones(1), np.ones(1)), ValueError, "a and b must be of one length, at least 2, got 1 and 1"),
        (lambda: compare(np.ones(2), np.array([1, np.nan])), ValueError, "b must be finite, got 1 NaN or infinite"),
        (lambda: compare(RUNS, RUNS, confidence=1.0), ValueError, "confidence must be a number in (0, 1), got 1.0"),
    ],
)
def test_bad_input_names_the_offender(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
