"""Mirrors dlref/words/count_based/vocabulary.py."""

import copy
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlref.neurons import one_hot
from dlref.words import Vocabulary, tokenize

SENTENCES = [["to", "be"], ["or", "not", "to", "be", "to"]]
LISTS = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("...", []),
        ("God's day: the 7th", ["god's", "day", "the", "th"]),
        ("well-known", ["well", "known"]),
        ("don’t", ["don’t"]),
        ("'tis the dogs'", ["tis", "the", "dogs"]),
        ("o'er-rock'n'roll", ["o'er", "rock'n'roll"]),
        ("snake_case", ["snake", "case"]),
        ("ÉCOLE Straße мир", ["école", "straße", "мир"]),
        ("a\nb\tc", ["a", "b", "c"]),
    ],
)
def test_words_of_a_text(text, words):
    assert tokenize(text) == words


def test_a_text_must_be_one(unchecked):
    with pytest.raises(TypeError, match=r"text must be a string, got \['a'\] \(list\)"):
        tokenize(["a"])


@given(LISTS, st.integers(1, 3), st.none() | st.integers(1, 5), st.sets(st.sampled_from("abc")))
def test_vocabulary_by_definition(sentences, min_count, max_size, stop):
    counts = Counter(word for sentence in sentences for word in sentence)
    first = {word: place for place, word in enumerate(counts)}
    kept = [word for word in counts if counts[word] >= min_count and word not in stop]
    kept = sorted(kept, key=lambda word: (-counts[word], first[word]))[:max_size]
    if not kept:
        with pytest.raises(ValueError, match="sentences must hold a word that is kept"):
            Vocabulary(sentences, min_count=min_count, max_size=max_size, stop_words=stop)
        return
    made = Vocabulary(sentences, min_count=min_count, max_size=max_size, stop_words=iter(stop))
    assert list(made) == list(made.words) == kept
    assert made.counts.tolist() == [counts[word] for word in kept]
    assert len(made) == len(kept)
    assert all((word in made) == (word in kept) for word in "abcdefgh")


@given(LISTS)
def test_numbers_and_words_are_inverse(sentences):
    if not any(sentences):
        return
    made = Vocabulary(sentences)
    for sentence in sentences:
        for unknown in ("drop", "keep", "raise"):
            numbers = made.encode(sentence, unknown=unknown)
            assert numbers.dtype == np.int64
            assert made.decode(numbers) == sentence


def test_unknown_words():
    made = Vocabulary(SENTENCES)
    sentence = ["to", "see", "or", "not"]
    assert made.encode(sentence).tolist() == made.encode(sentence, unknown="drop").tolist() == [0, 2, 3]
    assert made.encode(sentence, unknown="keep").tolist() == [0, -1, 2, 3]
    assert made.encode([]).tolist() == made.encode(["see"]).tolist() == []
    assert made.encode([]).dtype == made.encode([], unknown="raise").dtype == np.int64
    with pytest.raises(KeyError, match="word must be one of the 4 of the vocabulary, got 'see'"):
        made.encode(sentence, unknown="raise")
    with pytest.raises(KeyError, match="got 'see'"):
        made.number("see")
    with pytest.raises(ValueError, match="unknown must be one of 'drop', 'keep', 'raise', got 'skip'"):
        made.encode(sentence, unknown="skip")


def test_wrong_numbers_and_sentences(unchecked):
    made = Vocabulary(SENTENCES)
    assert made.decode(np.array([], dtype=int)) == []
    assert made.decode(np.array([3])) == ["not"]
    for wrong in ([-1, 0], [0, 4]):
        with pytest.raises(ValueError, match=rf"numbers must lie in \[0, 3\], got {wrong[0]} to {wrong[1]}"):
            made.decode(np.array(wrong))
    for call in (lambda: Vocabulary(["to be"]), lambda: made.encode("to be")):
        with pytest.raises(TypeError, match=r"a sentence must be a list of words, got 'to be'.*tokenize makes one"):
            call()
    with pytest.raises(TypeError, match=r"numbers must be whole numbers, got float64 array of shape \(1,\)"):
        made.decode(np.array([0.5]))
    with pytest.raises(TypeError, match=r"stop_words must be words, got 'the' \(str\)"):
        Vocabulary(SENTENCES, stop_words="the")
    for name in ("min_count", "max_size"):
        with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got 0"):
            Vocabulary(SENTENCES, **{name: 0})
    message = "got 4 different words, min_count 4 and 1 stop words"
    with pytest.raises(ValueError, match=message):
        Vocabulary(SENTENCES, min_count=4, stop_words=["to"])
    with pytest.raises(ValueError, match="got 0 different words"):
        Vocabulary([])


def test_shown_copied_and_stored():
    made = Vocabulary(SENTENCES, min_count=2)
    assert repr(made) == "Vocabulary(2 words, 5 tokens)"
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert twin.words == made.words
        assert twin.number("be") == 1


@pytest.mark.verifies("eq-one-hot-distance")
def test_fact_of_one_hot_words():
    """Every pair at the distance of the root of two, with the cosine 0."""
    words = one_hot(np.arange(7), 7)
    for v in range(7):
        for w in range(v):
            assert np.linalg.norm(words[v] - words[w]) == 2**0.5
            assert words[v] @ words[w] == 0
