"""Mirrors dlref/words/count_based/cooccurrence.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dlref.words import Vocabulary, clip_counts, cooccurrences
from dlref.words.count_based import cooccurrence

SENTENCES = st.lists(
    st.lists(st.integers(-1, 4), max_size=9).map(lambda x: np.array(x, dtype=int)), min_size=1, max_size=4
)


def by_loops(sentences, size, window, weighting, side):
    """The definition, pair by pair."""
    made = np.zeros((size, size))
    for sentence in sentences:
        for t, word in enumerate(sentence):
            for s, context in enumerate(sentence):
                d = abs(s - t)
                if d == 0 or d > window or word < 0 or context < 0:
                    continue
                if (side == "left" and s > t) or (side == "right" and s < t):
                    continue
                made[word, context] += {"flat": 1, "linear": 1 - (d - 1) / window, "harmonic": 1 / d}[weighting]
    return made


@pytest.mark.verifies("eq-cooccurrence")
@given(
    SENTENCES,
    st.integers(1, 12),
    st.sampled_from(["flat", "linear", "harmonic"]),
    st.sampled_from(["both", "left", "right"]),
)
def test_counts_by_definition(sentences, window, weighting, side):
    made = cooccurrences(iter(sentences), 5, window=window, weighting=weighting, side=side)
    assert isinstance(made, sparse.csr_array)
    assert made.dtype == (np.int64 if weighting == "flat" else np.float64)
    expected = by_loops(sentences, 5, window, weighting, side)
    assert made.shape == (5, 5)
    assert made.toarray() == pytest.approx(expected)
    assert made.has_canonical_format
    assert made.nnz == (expected > 0).sum()  # memory for the non-zeros alone


def test_defaults():
    x = np.arange(8)
    assert (cooccurrences([x], 8) != cooccurrences([x], 8, window=5, weighting="flat", side="both")).nnz == 0


@pytest.mark.verifies("eq-pairs-of-a-sentence")
@pytest.mark.parametrize(("T", "k"), [(1000, 5), (3, 2), (7, 3)])
def test_fact_of_the_number_of_pairs(T, k):
    assert cooccurrences([np.zeros(T, dtype=int)], 1, window=k).sum() == 2 * k * T - k * (k + 1)
    if (T, k) == (1000, 5):
        assert 2 * k * T - k * (k + 1) == 9970


@pytest.mark.parametrize("T", [1, 2, 5])
def test_short_sentences_have_all_their_pairs(T):
    assert cooccurrences([np.zeros(T, dtype=int)], 1, window=5).sum() == T * (T - 1)


def test_fact_of_joined_sentences():
    """Joining invents pairs across the border."""
    sentences = [["the", "cat", "sat"], ["a", "dog", "ran"]]
    vocabulary = Vocabulary(sentences)
    by_sentence = [vocabulary.encode(sentence) for sentence in sentences]
    assert cooccurrences(by_sentence, 6, window=1).sum() == 8
    assert cooccurrences([np.concatenate(by_sentence)], 6, window=1).sum() == 10


def test_fact_of_windows_that_hold_both():
    """Pairs of tokens are counted: 'a b a' has (a, b) twice, with one window that holds all."""
    made = cooccurrences([np.array([0, 1, 0])], 2, window=2).toarray()
    assert made.tolist() == [[2, 2], [2, 0]]


def test_a_place_that_is_held():
    """Dropping a word moves its neighbours together; -1 does not."""
    assert cooccurrences([np.array([0, -1, 1])], 2, window=1).nnz == 0
    assert cooccurrences([np.array([0, 1])], 2, window=1).sum() == 2
    assert cooccurrences([np.array([0, -7, 1])], 2, window=2).sum() == 2


@given(st.integers(1, 9).map(float))
def test_clipped_counts(limit):
    counts = sparse.csr_array(np.array([[7, 0, 1], [4, 9, 0]]))
    made = clip_counts(counts, limit)
    assert made.toarray().tolist() == np.minimum(counts.toarray(), limit).tolist()
    assert (clip_counts(counts.toarray(), limit) != made).nnz == 0
    twice = sparse.csr_array(([4, 4], [0, 0], [0, 2]), (1, 1))
    assert clip_counts(twice, limit).toarray() == min(8, limit)
    assert made.nnz == 4
    assert counts.toarray().tolist() == [[7, 0, 1], [4, 9, 0]]


def test_no_limit_is_a_copy(unchecked):
    counts = sparse.csr_array(np.array([[7, 1]]))
    made = clip_counts(counts, np.inf)
    made.data[:] = 0
    assert counts.sum() == 8
    assert clip_counts(counts, 0.5).toarray().tolist() == [[0.5, 0.5]]
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=r"limit must be a number in \(0, inf\]"):
            clip_counts(counts, wrong)


def test_bad_input_names_the_offender(unchecked):
    x = np.array([0, 1])
    for wrong in (["a"], x.astype(float), [0, 1]):
        with pytest.raises(TypeError, match="a sentence must be a NumPy array of whole numbers, got"):
            cooccurrences([x, wrong], 2)
    with pytest.raises(ValueError, match=r"a sentence must have one axis, got int64 array of shape \(1, 2\)"):
        cooccurrences([x[None]], 2)
    with pytest.raises(ValueError, match="sentences must not be empty"):
        cooccurrences([], 2)
    with pytest.raises(ValueError, match="sentences must hold numbers below 1, got 1"):
        cooccurrences([x], 1)
    for name in ("window", "size"):
        with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got 0"):
            cooccurrences([x], **{"size": 2, name: 0})
    with pytest.raises(ValueError, match="weighting must be one of 'flat', 'linear', 'harmonic', got 'even'"):
        cooccurrences([x], 2, weighting="even")
    with pytest.raises(ValueError, match="side must be one of 'both', 'left', 'right', got 'up'"):
        cooccurrences([x], 2, side="up")
    assert cooccurrences([np.array([], dtype=int)], 2).nnz == 0
    assert cooccurrences([x.astype(np.uint8)], 2).sum() == 2


def test_many_pairs_are_counted_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    sentences = [rng.integers(6, size=30) for _ in range(4)]
    whole = cooccurrences(sentences, 6, window=7)
    monkeypatch.setattr(cooccurrence, "ENOUGH", 150)
    assert (cooccurrences(sentences, 6, window=7) != whole).nnz == 0
    assert whole.sum() == 4 * (2 * 7 * 30 - 7 * 8)
