"""Mirrors dlref/data/text.py."""

from dlref.data import (
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
