"""Mirrors dlref/generalization/data_splits.py."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import KFold, StratifiedKFold

from dlref.generalization import data_splits, error_interval, examples_needed, k_fold, paired_difference, split_indices


@given(size=st.integers(20, 300), a=st.floats(0.1, 0.8), seed=st.integers(0, 10))
def test_parts_share_nothing_and_lose_nothing(size, a, seed):
    shares = (a, (1 - a) / 2, (1 - a) / 2)
    parts = split_indices(size, shares, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(size))
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * size) <= 1


def test_draws_are_random_and_repeatable():
    one, again, other = (split_indices(200, (0.5, 0.5), seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(split_indices(200, (0.5, 0.5))[0], split_indices(200, (0.5, 0.5), seed=0)[0])
    assert set(one) != set(other)
    assert list(one) != sorted(one)
    held_out = np.zeros(50)
    for seed in range(400):
        held_out[split_indices(50, (0.8, 0.2), seed=seed)[1]] += 1
    assert stats.chisquare(held_out).pvalue > 1e-3  # every example is as likely to be held out as any other


@given(st.integers(0, 20))
def test_strata_have_their_share_in_every_part(seed):
    labels = np.repeat(["a", "b", "c"], [100, 40, 11])
    parts = split_indices(151, (0.6, 0.2, 0.2), labels=labels, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(151))
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        for name, count in (("a", 100), ("b", 40), ("c", 11)):
            assert abs((labels[part] == name).sum() - share * count) <= 1
    assert (np.diff(np.unique(labels[parts[0]], return_inverse=True)[1]) < 0).any()  # the classes are mixed again


@given(st.data())
def test_sizes_and_shares_of_strata_are_each_within_one_example(data):
    """However many classes: rounding each by itself would add up to one part's loss."""
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    weights = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    shares = [w / sum(weights) for w in weights]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    assume(min(shares) * len(labels) >= 1)
    parts = split_indices(len(labels), shares, labels=labels)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * len(labels)) < 1
        for name, size in enumerate(sizes):
            assert abs((labels[part] == name).sum() - share * size) < 1


def test_many_small_classes():
    labels = np.repeat(np.arange(5), [5, 5, 3, 5, 5])
    assert [len(part) for part in split_indices(23, (0.7, 0.2, 0.1), labels=labels)] == [16, 5, 2]
    labels = np.repeat(np.arange(100), 5)
    assert [len(part) for part in split_indices(500, (0.8, 0.1, 0.1), labels=labels)] == [400, 50, 50]


@given(st.integers(0, 10**6))
def test_any_roundings_are_balanced(seed):
    """From roundings that put all they can into the first columns, or anywhere."""
    rng = np.random.default_rng(seed)
    exact = np.outer(rng.integers(1, 6, rng.integers(1, 15)), rng.dirichlet(np.ones(rng.integers(2, 8))).round(9))
    exact[:, -1] += exact.sum(1).round() - exact.sum(1)
    exact = exact.round(9)
    assume((exact >= 0).all())
    counts = np.floor(exact).astype(int)
    for row in range(len(exact)):
        places = np.flatnonzero(exact[row] % 1)
        counts[row, (places if seed % 2 else rng.permutation(places))[: round((exact[row] % 1).sum())]] += 1
    found = data_splits._balanced(counts, exact)
    assert (np.abs(found - exact) < 1).all()
    assert (np.abs(found.sum(0) - exact.sum(0)) < 1).all()
    assert (found.sum(1) == exact.sum(1).round()).all()


@pytest.mark.filterwarnings("ignore:The least populated class")  # scikit-learn says so, and goes on
@given(st.integers(2, 9), st.lists(st.integers(0, 3), min_size=2, max_size=40))
def test_folds_are_scikit_learns(k, classes):
    y = np.array(classes)
    for labels, oracle in ((None, KFold(k)), (y, StratifiedKFold(k))):
        most = len(y) if labels is None else np.bincount(y).max()
        if k > most:
            with pytest.raises(ValueError, match=f"^n_splits must be at most the {most} examples"):
                k_fold(len(y), k, labels=labels)
            continue
        for ours, theirs in zip(k_fold(len(y), k, labels=labels), oracle.split(y, y), strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("labels", [None, np.repeat([3, 1, 2], [20, 9, 1])], ids=["plain", "stratified"])
def test_shuffled_folds(labels):
    folds = k_fold(30, 4, labels=labels, shuffle=True, seed=1)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(30))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(30))
        assert len(test) in (7, 8)
        if labels is not None:
            assert (labels[test] == 3).sum() == 5
            assert (labels[test] == 1).sum() in (2, 3)
    same, other = (k_fold(30, 4, labels=labels, shuffle=True, seed=seed)[0][1].tolist() for seed in (1, 2))
    assert folds[0][1].tolist() == same != other
    assert same != k_fold(30, 4, labels=labels)[0][1].tolist()


@given(st.integers(0, 20))
def test_groups_stay_together(seed):
    groups = np.arange(120) // 4
    parts = split_indices(120, (0.7, 0.1, 0.2), groups=groups, seed=seed)
    assert [len(part) for part in parts] == [84, 12, 24]
    assert sorted(np.concatenate(parts)) == list(range(120))
    assert len({g for part in parts for g in set(groups[part])}) == sum(len(set(groups[part])) for part in parts) == 30
    assert list(parts[0]) != sorted(parts[0])


@pytest.mark.verifies("eq-wilson")
@given(n=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_interval_is_scipys(n, share, confidence):
    wrong = round(share * n)
    theirs = stats.binomtest(wrong, n).proportion_ci(confidence, method="wilson")
    ours = error_interval(wrong, n, confidence=confidence)
    np.testing.assert_allclose(ours, (theirs.low, theirs.high), rtol=1e-9, atol=1e-12)
    assert (ours[0] == 0) == (wrong == 0)
    assert (ours[1] == 1) == (wrong == n)


@pytest.mark.verifies("eq-wilson")
def test_interval_ends_where_the_observation_would_just_be_rejected():
    """Wilson: the p for which the observed share is exactly z standard errors away."""
    low, high = error_interval(7, 60)
    for p in (low, high):
        assert abs(7 / 60 - p) / math.sqrt(p * (1 - p) / 60) == pytest.approx(stats.norm.ppf(0.975))
    assert error_interval(7, 60) == error_interval(7, 60, confidence=0.95)


@pytest.mark.verifies("eq-test-error-spread")
def test_spread_of_a_test_error():
    shares = np.random.default_rng(0).binomial(250, 0.08, size=200_000) / 250
    assert shares.std() == pytest.approx(math.sqrt(0.08 * 0.92 / 250), rel=0.01)


@pytest.mark.verifies("eq-examples-needed")
@pytest.mark.parametrize(("error", "margin"), [(0.02, 0.001), (0.5, 0.03), (0.1, 0.01)])
def test_as_many_examples_as_the_margin_wants(error, margin):
    n = examples_needed(error, margin)

    def width(n):
        return stats.norm.ppf(0.975) * math.sqrt(error * (1 - error) / n)

    assert width(n) <= margin < width(n - 1)
    assert examples_needed(error, margin, confidence=0.99) > n == examples_needed(error, margin, confidence=0.95)


@pytest.mark.verifies("eq-paired")
def test_paired_difference_by_simulation_and_by_hand():
    a = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], bool)
    b = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0], bool)
    d, s = paired_difference(a, b)
    assert d == pytest.approx(0.1)
    assert s == pytest.approx(math.sqrt((3 / 10 - 0.01) / 10))
    rng = np.random.default_rng(0)
    hard = rng.uniform(size=(4000, 300))
    first, second = hard < 0.1, (hard < 0.05) | (rng.uniform(size=hard.shape) < 0.02)
    found = np.array([paired_difference(f, s) for f, s in zip(first, second, strict=True)])
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.05)


FLAGS = np.array([True, False])
REFUSED = {
    "size": (split_indices, (0, (0.5, 0.5)), ValueError, "size must be an integer >= 1, got 0"),
    "sum": (split_indices, (9, (0.5, 0.4)), ValueError, "shares must sum to 1, got 0.9"),
    "negative": (split_indices, (9, (1.5, -0.5)), ValueError, "shares must be a number in (0, 1], got 1.5"),
    "empty part": (split_indices, (3, (0.9, 0.1)), ValueError, "shares must leave no part empty, got parts of 3, 0"),
    "both": (
        lambda: split_indices(2, (0.5, 0.5), labels=FLAGS, groups=FLAGS), (), ValueError,
        "labels and groups must not both be given, got both",
    ),
    "labels": (
        lambda: split_indices(3, (0.5, 0.5), labels=FLAGS), (), ValueError,
        "labels must be a NumPy array of length 3, got bool array of shape (2,)",
    ),
    "groups": (
        lambda: split_indices(2, (0.5, 0.5), groups=[1, 2]), (), ValueError,
        "groups must be a NumPy array of length 2, got [1, 2] (list)",
    ),
    "folds": (lambda: k_fold(5, 1), (), ValueError, "n_splits must be an integer >= 2, got 1"),
    "fold seed": (lambda: k_fold(5, 2, seed=-1), (), ValueError, "seed must be an integer >= 0, got -1"),
    "no examples": (lambda: k_fold(0, 2), (), ValueError, "size must be an integer >= 1, got 0"),
    "fold labels": (lambda: k_fold(5, 2, labels=FLAGS), (), ValueError, "labels must be a NumPy array of length 5"),
    "seed": (lambda: split_indices(9, (0.5, 0.5), seed=-1), (), ValueError, "seed must be an integer >= 0, got -1"),
    "wrong": (error_interval, (5, 4), ValueError, "wrong must be an integer in [0, 4], got 5"),
    "none": (error_interval, (0, 0), ValueError, "size must be an integer >= 1, got 0"),
    "confidence": (
        lambda: error_interval(1, 4, confidence=1.0), (), ValueError, "confidence must be a number in (0, 1), got 1.0"
    ),
    "error": (examples_needed, (0.0, 0.1), ValueError, "error must be a number in (0, 1), got 0.0"),
    "margin": (examples_needed, (0.1, 0.0), ValueError, "margin must be a number in (0, 1), got 0.0"),
    "first": (paired_difference, (np.ones(2), FLAGS), TypeError, "first must be a Boolean array of shape (m), got f"),
    "second": (paired_difference, (FLAGS, np.ones((2, 1), bool)), TypeError, "second must be a Boolean array of shape"),
    "lengths": (paired_difference, (FLAGS, FLAGS[:1]), ValueError, "second must have shape (m=2) and m > 0, got bool"),
    "nothing": (paired_difference, (FLAGS[:0], FLAGS[:0]), ValueError, "second must have shape (m=0) and m > 0, got b"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
