"""Mirrors dlref/words/prediction_based/sampling.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlref.words import (
    ContextPairs,
    context_pairs,
    cooccurrences,
    keep_probability,
    noise_distribution,
    subsample,
)
from dlref.words.prediction_based.sampling import windows

SENTENCES = st.lists(
    st.lists(st.integers(0, 4), max_size=8).map(lambda x: np.array(x, dtype=int)), min_size=1, max_size=4
)


@given(SENTENCES, st.integers(1, 9))
def test_pairs_are_those_of_the_counts(sentences, window):
    made = context_pairs(sentences, window=window, shrink=False)
    assert isinstance(made, ContextPairs)
    counted = np.zeros((5, 5), dtype=int)
    np.add.at(counted, made, 1)
    assert (counted == cooccurrences(sentences, 5, window=window).toarray()).all()


def test_order_and_places():
    made = context_pairs([np.array([5, 6, 7]), np.array([8, 9])], window=2, shrink=False)
    assert made.centre.tolist() == [5, 5, 6, 6, 7, 7, 8, 9]
    assert made.context.tolist() == [6, 7, 5, 7, 5, 6, 9, 8]
    numbers, other = windows([np.array([5, 6, 7]), np.array([8, 9])], window=1, shrink=False, seed=0)
    assert numbers.tolist() == [5, 6, 7, 8, 9]
    assert other.tolist() == [[-1, 1], [0, 2], [1, -1], [-1, 4], [3, -1]]


def test_windows_of_random_width():
    """Distance d is taken with the probability 1 - (d - 1)/k."""
    sentence = np.arange(20_000)
    made = context_pairs([sentence], window=4, seed=1)
    distance, often = np.unique(abs(made.centre - made.context), return_counts=True)
    assert distance.tolist() == [1, 2, 3, 4]
    assert often / 40_000 == pytest.approx([1, 0.75, 0.5, 0.25], abs=0.015)
    again, other = (context_pairs([sentence], window=4, shrink=True, seed=seed) for seed in (1, 0))
    assert (made.context == again.context).all()
    assert len(made.context) != len(other.context)
    default = context_pairs([sentence])
    assert len(default.context) == len(context_pairs([sentence], window=5, seed=0).context)
    reach = abs(made.centre - made.context)
    widest = np.zeros(20_000, dtype=int)
    np.maximum.at(widest, made.centre, reach)
    left, right = (np.bincount(made.centre[made.context * s > made.centre * s], minlength=20_000) for s in (-1, 1))
    assert (left[10:-10] == widest[10:-10]).all()  # one width a word, on both sides
    assert (right[10:-10] == widest[10:-10]).all()


@pytest.mark.verifies("eq-noise")
@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.sampled_from([0.0, 0.5, 0.75, 1.0]))
def test_noise_by_definition(counts, power):
    weights = [count**power if count else 0 for count in counts]
    made = noise_distribution(np.array(counts), power=power)
    assert made == pytest.approx(np.array(weights) / sum(weights))


def test_fact_of_the_power():
    counts = np.array([80, 15, 5])
    assert noise_distribution(counts) == pytest.approx([0.7093, 0.2021, 0.0887], abs=5e-5)
    assert ((counts / 100) ** 0.75).sum() == pytest.approx(1.1927, abs=5e-5)


@pytest.mark.verifies("eq-keep")
def test_fact_of_subsampling():
    counts = np.array([1, 99])  # f = 0.01
    assert keep_probability(counts, form="paper")[0] == pytest.approx(0.3162, abs=5e-5)
    assert keep_probability(counts)[0] == pytest.approx(0.4162, abs=5e-5)
    assert keep_probability(counts, threshold=1e-3, form="word2vec")[0] == keep_probability(counts)[0]
    f = np.array([2.60, 2.63])  # the program's is 1 up to f = 2.618 t
    kept = np.sqrt(1 / f) + 1 / f
    assert kept[0] > 1 > kept[1]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.floats(1e-4, 2))
def test_probabilities_lie_between(counts, threshold):
    for form, extra in (("paper", 0), ("word2vec", 1)):
        made = keep_probability(np.array(counts), threshold=threshold, form=form)
        for count, p in zip(counts, made, strict=True):
            ratio = threshold * sum(counts) / count if count else 1
            assert p == pytest.approx(min(1, ratio**0.5 + extra * ratio))


def test_tokens_that_stay():
    sentences = [np.array([0, 1] * 5000), np.array([], dtype=int), np.array([1, 2]), np.array([0, 0, 0, 0])]
    made = subsample(iter(sentences), np.array([0.3, 1.0, 0.0]), seed=3)
    assert [len(x) for x in made[1:3]] == [0, 1]
    assert len(made) == 4
    assert made[2].tolist() == [1]
    assert (made[0] == 1).sum() == 5000
    assert (made[0] == 0).sum() / 5000 == pytest.approx(0.3, abs=0.02)
    again, other = (subsample(sentences, np.array([0.3, 1.0, 0.0]), seed=seed) for seed in (3, 0))
    assert (again[0] == made[0]).all()
    assert len(other[0]) != len(made[0])
    assert len(subsample(sentences, np.array([0.3, 1.0, 0.0]))[0]) == len(other[0])
    everything = subsample(sentences, np.ones(3))
    assert all((a == b).all() for a, b in zip(everything, sentences, strict=True))


def test_bad_input_names_the_offender(unchecked):
    x, counts = [np.array([0, 1])], np.array([1, 2])
    for call in (noise_distribution, keep_probability):
        with pytest.raises(TypeError, match=r"counts must be a NumPy array of whole numbers, got"):
            call(counts.astype(float))
        for wrong in (counts[None], counts[:0]):
            with pytest.raises(ValueError, match="counts must have one axis and not be empty, got int64 array"):
                call(wrong)
        for wrong in (-counts, 0 * counts):
            with pytest.raises(ValueError, match="counts must not be negative, nor all zero"):
                call(wrong)
    with pytest.raises(ValueError, match=r"power must be a number in \[0, 1\], got 1.1"):
        noise_distribution(counts, power=1.1)
    with pytest.raises(ValueError, match=r"threshold must be a number in \(0, inf\)"):
        keep_probability(counts, threshold=0.0)
    with pytest.raises(ValueError, match="form must be one of 'word2vec', 'paper', got 'c'"):
        keep_probability(counts, form="c")
    with pytest.raises(ValueError, match="window must be an integer >= 1, got 0"):
        context_pairs(x, window=0)
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        context_pairs(x, seed=-1)
    with pytest.raises(ValueError, match="sentences must hold no negative numbers"):
        context_pairs([-x[0]])
    with pytest.raises(ValueError, match="sentences must hold numbers below 1, got 1"):
        subsample(x, np.ones(1))
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match=r"keep must lie in \[0, 1\], got"):
            subsample(x, np.array([wrong, 0.5]))
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        subsample(x, np.ones(2), seed=-1)
    assert context_pairs([np.array([], dtype=int)]).centre.tolist() == []
    assert context_pairs([np.array([3])]).centre.tolist() == []
