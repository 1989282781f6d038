"""Tokens, and the numbers by which a program knows them.

Shape legend: V words of the vocabulary, T tokens of a sentence.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Integer

from dlref import _check

__all__ = ["Vocabulary", "tokenize"]

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def tokenize(text: str) -> list[str]:
    """Words in lower case; digits and punctuation are left out.

    A word is a run of letters of any script; an apostrophe between letters belongs to
    it, a hyphen does not. Accents that are characters of their own end a word: bring
    the text to Unicode's form NFC before.

    Args:
        text: any.

    Returns:
        Words in their order; none for a text without letters.

    Raises:
        TypeError: if it is no string.

    Source:
        This book.

    Example:
        >>> tokenize("God's day: the 7th day (well-known)")
        ["god's", 'day', 'the', 'th', 'day', 'well', 'known']
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a string, got {_check.describe(text)}")
    return [word.lower() for word in WORD.findall(text)]


class Vocabulary:
    """The different words of some sentences, from the most frequent to the rarest.

    Words that occur equally often stand in the order in which they first came.

    Args:
        sentences: lists of words.
        min_count: rarer words are left out.
        max_size: how many of the most frequent words are kept; all of them if None.
        stop_words: words that are left out however frequent.

    Attributes:
        words: the words.
        counts: how often each occurs, shape (V,).

    Raises:
        TypeError: if a sentence or the stop words are a string, or a setting is no
            whole number.
        ValueError: if no word is left, or a setting is less than 1.

    Source:
        This book.

    Example:
        >>> vocabulary = Vocabulary([["to", "be"], ["or", "not", "to", "be", "to"]])
        >>> vocabulary.words, vocabulary.counts
        (('to', 'be', 'or', 'not'), array([3, 2, 1, 1]))
    """

    def __init__(
        self,
        sentences: Iterable[Sequence[str]],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        stop_words: Iterable[str] = (),
    ) -> None:
        min_count = _check.integer("min_count", min_count, 1)
        if max_size is not None:
            max_size = _check.integer("max_size", max_size, 1)
        if isinstance(stop_words, str):
            raise TypeError(
                f"stop_words must be words, got {_check.describe(stop_words)}"
            )
        left_out = set(stop_words)
        found = Counter(
            word for sentence in _sentences(sentences) for word in sentence
        ).most_common()
        kept = [
            (word, count)
            for word, count in found
            if count >= min_count and word not in left_out
        ][:max_size]
        if not kept:
            raise ValueError(
                f"sentences must hold a word that is kept, got {len(found)} different "
                f"words, min_count {min_count} and {len(left_out)} stop words"
            )
        self.words = tuple(word for word, _ in kept)
        self.counts = np.array([count for _, count in kept])
        self._numbers = {word: number for number, word in enumerate(self.words)}

    def number(self, word: str) -> int:
        """The number of a word.

        Raises:
            KeyError: if the vocabulary does not have it.
        """
        if word not in self._numbers:
            raise KeyError(
                f"word must be one of the {len(self)} of the vocabulary, got {word!r}"
            )
        return self._numbers[word]

    def encode(
        self, sentence: Sequence[str], *, unknown: str = "drop"
    ) -> Integer[np.ndarray, " T"]:
        """The numbers of the words of a sentence.

        Args:
            sentence: a list of words.
            unknown: what becomes of words that the vocabulary does not have. ``"drop"``
                leaves them out, so that their neighbours move together; ``"keep"``
                gives -1, which holds their place; ``"raise"`` refuses them.

        Raises:
            TypeError: if the sentence is a string.
            ValueError: if ``unknown`` is none of these.
            KeyError: with ``"raise"``, if a word is unknown.
        """
        _check.one_of("unknown", unknown, ("drop", "keep", "raise"))
        (sentence,) = _sentences([sentence])
        if unknown == "raise":
            return np.array([self.number(word) for word in sentence], dtype=np.int64)
        numbers = np.array(
            [self._numbers.get(word, -1) for word in sentence], dtype=np.int64
        )
        return numbers[numbers >= 0] if unknown == "drop" else numbers

    def decode(self, numbers: Integer[np.ndarray, " T"]) -> list[str]:
        """The words of numbers; the inverse of :meth:`encode`.

        Raises:
            TypeError: if they are not whole numbers.
            ValueError: if a number is not that of a word.
        """
        found = np.asarray(numbers)
        if found.size and found.dtype.kind not in "iu":
            raise TypeError(
                f"numbers must be whole numbers, got {_check.describe(found)}"
            )
        if found.size and not (found.min() >= 0 and found.max() < len(self)):
            raise ValueError(
                f"numbers must lie in [0, {len(self) - 1}], got {found.min()} to "
                f"{found.max()}"
            )
        return [self.words[number] for number in found]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} words, {self.counts.sum()} tokens)"


def _sentences(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """The sentences, none of which is a string (whose letters would be the words)."""
    for sentence in sentences:
        if isinstance(sentence, str):
            raise TypeError(
                f"a sentence must be a list of words, got {_check.describe(sentence)}; "
                "tokenize makes one of a text"
            )
        yield sentence
