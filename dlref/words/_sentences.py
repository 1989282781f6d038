"""Sentences laid end to end."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dlref import _check


class Joined(NamedTuple):
    """All numbers in a row, of which sentence each is, and how many sentences."""

    numbers: np.ndarray
    sentence: np.ndarray
    lines: int


def joined(
    sentences: Iterable[np.ndarray], size: int | None = None, *, places: bool = False
) -> Joined:
    """Lay sentences end to end, after a look at their numbers.

    Args:
        sentences: numbers of words.
        size: all must be less, unless it is None.
        places: whether negative numbers, which hold a place, are allowed.
    """
    parts = []
    for sentence in sentences:
        if not isinstance(sentence, np.ndarray) or sentence.dtype.kind not in "iu":
            raise TypeError(
                "a sentence must be a NumPy array of whole numbers, got "
                f"{_check.describe(sentence)}"
            )
        if sentence.ndim != 1:
            raise ValueError(
                f"a sentence must have one axis, got {_check.describe(sentence)}"
            )
        parts.append(sentence.astype(np.int64))
    if not parts:
        raise ValueError("sentences must not be empty")
    numbers = np.concatenate(parts)
    if size is not None and numbers.size and numbers.max() >= size:
        raise ValueError(
            f"sentences must hold numbers below {size}, got {numbers.max()}"
        )
    if not places and numbers.size and numbers.min() < 0:
        raise ValueError(
            f"sentences must hold no negative numbers, got {numbers.min()}"
        )
    lengths = [len(part) for part in parts]
    return Joined(numbers, np.repeat(np.arange(len(parts)), lengths), len(parts))
