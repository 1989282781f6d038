"""Mirrors dlref/detection/faces/verification.py."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch.utils.data import DataLoader, TensorDataset

from dlref.detection import (
    BalancedBatches,
    Pairs,
    TrueAccepts,
    all_pairs,
    false_matches,
    one_shot_accuracy,
    tar_at_far,
)


@given(st.lists(st.integers(0, 3), max_size=8))
def test_all_pairs(labels):
    found = all_pairs(np.array(labels, dtype=int))
    assert isinstance(found, Pairs)
    expected = [(i, j, labels[i] == labels[j]) for i, j in itertools.combinations(range(len(labels)), 2)]
    assert list(zip(*(part.tolist() for part in found), strict=True)) == expected


def test_fact_of_many_pairs():
    """40 people with ten portraits: who always says 'different' is right in 97.7% of the pairs."""
    same = all_pairs(np.repeat(np.arange(40), 10)).same
    assert round(1 - same.mean(), 3) == 0.977


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.1, 0.25, 1.0]), st.booleans())
def test_rates_by_definition(seed, far, ties):
    rng = np.random.default_rng(seed)
    same = np.arange(20) < 8
    scores = rng.integers(0, 6, 20).astype(float) if ties else rng.normal(size=20)
    found = tar_at_far(same, scores, far)
    assert isinstance(found, TrueAccepts)
    rates = [(0.0, np.inf, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        accepted = scores >= threshold
        rates.append((accepted[same].mean(), threshold, accepted[~same].mean()))
    allowed = [r for r in rates if r[2] <= far]
    assert found.rate == max(r[0] for r in allowed)
    assert found.false_rate <= far
    accepted = scores >= found.threshold
    assert (accepted[same].mean(), accepted[~same].mean()) == (found.rate, found.false_rate)


def test_nothing_can_be_accepted():
    same = np.array([True, False])
    assert tar_at_far(same, np.array([0.1, 0.9]), 0.0) == TrueAccepts(0.0, np.inf, 0.0)
    assert tar_at_far(same, np.array([0.5, 0.5]), 0.5) == TrueAccepts(0.0, np.inf, 0.0)


@pytest.mark.verifies("eq-false-matches")
def test_fact_of_false_matches():
    assert round(false_matches(0.001, 1000), 2) == 0.63
    assert false_matches(0.0, 5) == 0
    assert false_matches(0.3, 0) == false_matches(1.0, 0) == 0
    assert false_matches(1.0, 3) == false_matches(1.0, 1) == 1
    assert false_matches(1e-17, 10**9) == pytest.approx(1e-8)
    rng = np.random.default_rng(0)
    drawn = (rng.random((4000, 7)) < 0.1).any(1).mean()
    assert drawn == pytest.approx(false_matches(0.1, 7), abs=0.03)


def test_fact_of_the_best_threshold():
    """Two normal distributions two deviations apart: the threshold that is best on its own 50 + 50 pairs flatters."""
    rng = np.random.default_rng(0)
    best = []
    for _ in range(4000):
        scores = np.concatenate((rng.normal(1, 1, 50), rng.normal(-1, 1, 50)))
        right = np.cumsum(np.where(np.argsort(-scores) < 50, 1, -1))
        best.append((50 + max(0, right.max())) / 100)
    assert np.mean(best) == pytest.approx(0.864, abs=0.002)
    assert norm.cdf(1) == pytest.approx(0.841, abs=0.001)


@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(2, 4))
def test_one_shot_by_definition(seed, people, pictures):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(people) * 3, pictures))
    distances = rng.random((len(labels), len(labels)))
    right = Counter()
    for turn in range(pictures):
        known = {who: np.flatnonzero(labels == who)[turn] for who in np.unique(labels)}
        for probe, who in enumerate(labels):
            if probe not in known.values():
                right[who] += min(known, key=lambda w: distances[probe, known[w]]) == who
    expected = [right[who] / (pictures * (pictures - 1)) for who in np.unique(labels)]
    np.testing.assert_allclose(one_shot_accuracy(distances, labels), expected)


def test_one_shot_with_ties_and_unequal_numbers():
    labels = np.array([0, 0, 1, 1, 2, 2])
    np.testing.assert_allclose(one_shot_accuracy(np.zeros((6, 6)), labels), [1 / 3] * 3)
    x = np.array([0.0, 0.1, 0.2, 5.0, 5.1])
    apart = abs(x[:, None] - x)
    assert one_shot_accuracy(apart, np.array([0, 0, 0, 1, 1])).tolist() == [1, 1]
    close = abs(x[:, None] - x)[:, [0, 1, 2, 0, 1]]  # everything is as near to the other person
    assert one_shot_accuracy(close, np.array([0, 0, 0, 1, 1])).min() < 1


def test_batches_are_balanced_and_drawn_anew():
    labels = np.repeat([4, 7, 9], [5, 2, 6])
    batches = BalancedBatches(labels, 2, 3, batches=40, seed=1)
    assert len(batches) == 40
    first, second = list(batches), list(batches)
    assert first != second
    assert first == list(BalancedBatches(labels, 2, 3, batches=40, seed=1))
    seen = Counter()
    for batch in first:
        people = Counter(labels[batch].tolist())
        assert sorted(people.values()) == [3, 3]
        seen.update(people.keys())
        for who in people:
            rows = [row for row in batch if labels[row] == who]
            assert who == 7 or len(set(rows)) == 3
    assert min(seen.values()) > 15
    loader = DataLoader(TensorDataset(torch.arange(13)), batch_sampler=batches)
    assert all(len(rows) == 6 for (rows,) in loader)


SAME = np.array([True, False])
REFUSED = [
    (tar_at_far, (SAME, np.zeros(2), 1.5), ValueError, "far must be a number in [0, 1], got 1.5"),
    (tar_at_far, (SAME[:1], np.zeros(1)), ValueError, "same must have pairs of both kinds, got none of two people"),
    (tar_at_far, (SAME[1:], np.zeros(1)), ValueError, "same must have pairs of both kinds, got none of one person"),
    (false_matches, (1.5, 2), ValueError, "far must be a number in [0, 1], got 1.5"),
    (false_matches, (0.5, -1), ValueError, "people must be an integer >= 0, got -1"),
    (
        one_shot_accuracy,
        (np.zeros((2, 3)), np.zeros(2, int)),
        ValueError,
        "distances must be a table of 2 rows, got float64 array of",
    ),
    (one_shot_accuracy, (np.full((2, 2), np.nan), np.zeros(2, int)), ValueError, "distances must not be NaN"),
    (one_shot_accuracy, (np.zeros((2, 2)), np.arange(2)), ValueError, "labels must have two pictures of everybody"),
    (one_shot_accuracy, (np.zeros((0, 0)), np.zeros(0, int)), ValueError, "labels must have two pictures of everybody"),
    (BalancedBatches, (np.arange(3), 4, 1), ValueError, "people must be an integer in [1, 3], got 4"),
    (BalancedBatches, (np.arange(3), 1, 0), ValueError, "pictures must be an integer >= 1, got 0"),
]


@pytest.mark.parametrize(("function", "arguments", "error", "message"), REFUSED)
def test_bad_input_is_refused(refuses, function, arguments, error, message):
    if function is BalancedBatches:
        with pytest.raises(error) as caught:
            BalancedBatches(*arguments, batches=1)
        assert str(caught.value).startswith(message)
        return
    refuses(function, arguments, error, message)


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match=r"^batches must be an integer >= 1, got 0$"):
        BalancedBatches(np.arange(3), 1, 1, batches=0)


def test_seed_of_batches():
    labels = np.repeat([0, 1, 2], 3)
    assert list(BalancedBatches(labels, 2, 3, batches=5)) == list(BalancedBatches(labels, 2, 3, batches=5, seed=0))
    for batch in BalancedBatches(labels, 2, 3, batches=20):  # as many as there are: each once
        assert len(set(batch)) == 6
    with pytest.raises(ValueError, match=r"^seed must be an integer >= 0, got -1$"):
        BalancedBatches(labels, 1, 1, batches=1, seed=-1)
