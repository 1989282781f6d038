"""Mirrors dlref/data/similarities.py."""

import numpy as np
import pytest

from dlref.data import Glove, analogies, glove, word_similarities
from dlref.words import WordVectors


@pytest.mark.parametrize(
    ("name", "pairs", "words", "first"),
    [
        ("wordsim353", 353, 437, ("love", "sex", 6.77)),
        ("simlex999", 999, 1028, ("old", "new", 1.58)),
    ],
)
def test_the_sets_hold_what_their_papers_say(name, pairs, words, first):
    found = word_similarities(name)
    assert len(found) == pairs
    assert found[0] == first
    assert len({word for a, b, _ in found for word in (a, b)}) == words
    assert all(0 <= mark <= 10 for *_, mark in found)
    assert word_similarities(name) is found


def test_the_first_set_is_the_default():
    assert word_similarities() == word_similarities("wordsim353")
    with pytest.raises(ValueError, match="name must be one of 'wordsim353', 'simlex999', got 'men'"):
        word_similarities("men")


def test_analogies_of_the_paper():
    found = analogies()
    assert len(found) == 14
    meaning = [name for name in found if not name.startswith("gram")]
    assert sum(len(found[name]) for name in meaning) == 8869
    assert sum(len(questions) for questions in found.values()) == 19_544
    assert found["gram8-plural"][0] == ("banana", "bananas", "bird", "birds")
    assert all(len(question) == 4 for questions in found.values() for question in questions)


def test_published_vectors():
    found = glove()
    assert isinstance(found, Glove)
    assert found.vectors.shape == (400_000, 50)
    assert found.vectors.dtype == np.float32
    assert not found.vectors.flags.writeable
    assert found.words[0] == "the"
    assert found.vectors[0, :2].tolist() == pytest.approx([0.418, 0.24968])
    rows = [found.words.index(word) for word in ("frog", "toad", "piano")]
    ours = WordVectors(("frog", "toad", "piano"), found.vectors[rows])
    assert ours.similarity("frog", "toad") > 0.5 > ours.similarity("frog", "piano")
