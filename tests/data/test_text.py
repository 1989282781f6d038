"""Mirrors dlref/data/text.py."""

import numpy as np

from dlref.data import (
    Reviews,
    film_reviews,
    king_james,
)


def test_king_james_is_whole_and_in_order():
    verses = king_james()
    citations = list(verses)
    assert len(verses) == 31_102
    assert (citations[0], citations[-1]) == ("Genesis 1:1", "Revelation 22:21")
    assert verses["John 11:35"] == "Jesus wept."
    assert len({citation.rpartition(" ")[0] for citation in citations}) == 66
    assert all(text and text == text.strip() for text in verses.values())
    assert 4_000_000 < sum(map(len, verses.values())) < 4_200_000


def test_film_reviews_are_each_there_once():
    reviews = film_reviews()
    assert isinstance(reviews, Reviews)
    assert len(reviews.text) == len(reviews.film) == len(set(reviews.text)) == 12_752
    assert reviews.fresh.shape == (12_752,)
    assert reviews.fresh.dtype == np.bool_
    assert reviews.fresh.sum() == 7368
    assert len(set(reviews.film)) == 507
    assert round(np.mean([len(text) for text in reviews.text])) == 111
    assert all(text == " ".join(text.split()) and text for text in reviews.text)
    about = [k for k, name in enumerate(reviews.film) if name == "a_grin_without_a_cat"]
    assert reviews.text[about[0]] == "A three-hour cinema master class."
    assert reviews.fresh[about[0]]
    assert not reviews.fresh.flags.writeable
    assert film_reviews() is reviews
