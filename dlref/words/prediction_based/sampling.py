"""What is drawn at random: windows, words that are skipped, words that are noise.

Shape legend: V words of the vocabulary, T tokens of a sentence, P pairs.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from dlref import _check
from dlref.words import _sentences

__all__ = [
    "ContextPairs",
    "context_pairs",
    "keep_probability",
    "noise_distribution",
    "subsample",
]

FORMS = ("word2vec", "paper")


class ContextPairs(NamedTuple):
    """A word and a word near it, many times.

    Attributes:
        centre: numbers of words.
        context: of each, the number of a word in its window.

    Source:
        See :func:`context_pairs`.

    Example:
        >>> ContextPairs(np.array([0, 1]), np.array([1, 0])).context
        array([1, 0])
    """

    centre: Integer[np.ndarray, " P"]
    context: Integer[np.ndarray, " P"]


def context_pairs(
    sentences: Sequence[Integer[np.ndarray, " _"]],
    *,
    window: int = 5,
    shrink: bool = True,
    seed: int = 0,
) -> ContextPairs:
    """All pairs of words at most a window apart, without those over a sentence's end.

    Args:
        sentences: numbers of words, not negative.
        window: the largest distance.
        shrink: whether each word draws a window of its own, evenly from 1 to
            ``window``, so that near words are taken more often than far ones.
        seed: of the draws.

    Returns:
        Pairs in the order of their centres, and of the contexts of each.

    Raises:
        TypeError: if a sentence holds anything but whole numbers.
        ValueError: if a number is negative, there is no sentence, or a setting is out
            of range.

    Source:
        Mikolov, Chen, Corrado & Dean (2013), arXiv:1301.3781, section 3.2.

    Example:
        >>> context_pairs([np.array([5, 6, 7])], window=1)
        ContextPairs(centre=array([5, 6, 6, 7]), context=array([6, 5, 7, 6]))
    """
    numbers, other = windows(sentences, window=window, shrink=shrink, seed=seed)
    rows, columns = (other >= 0).nonzero()
    return ContextPairs(numbers[rows], numbers[other[rows, columns]])


def windows(
    sentences: Sequence[np.ndarray], *, window: int, shrink: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """All words in a row, and the places of those in the window of each; -1 for none.

    The places are (tokens, 2 window), from left to right.
    """
    window = _check.integer("window", window, 1)
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    numbers, sentence, _ = _sentences.joined(sentences)
    size = len(numbers)
    reach = rng.integers(1, window + 1, size) if shrink else np.full(size, window)
    distances = np.array([d for d in range(-window, window + 1) if d], dtype=np.int64)
    other = np.arange(size)[:, None] + distances
    inside = (other >= 0) & (other < size) & (abs(distances) <= reach[:, None])
    other = np.where(inside, other, 0)
    if size:
        inside &= sentence[other] == sentence[:, None]
    return numbers, np.where(inside, other, -1)


def noise_distribution(
    counts: Integer[np.ndarray, " V"], *, power: float = 0.75
) -> Float[np.ndarray, " V"]:
    r"""How likely each word is to be drawn as noise.

    .. math::
        P_n(w) = \frac{c_w^{\alpha}}{\sum_v c_v^{\alpha}}

    Args:
        counts: how often each word occurs.
        power: :math:`\alpha` in [0, 1]: 1 draws words as often as they occur, 0 all
            equally often (those that occur at all).

    Raises:
        TypeError: if the counts are no whole numbers.
        ValueError: if one is negative, all are 0, or the power is out of range.

    Source:
        Mikolov et al. (2013), arXiv:1310.4546, section 2.2.

    Example:
        >>> noise_distribution(np.array([80, 15, 5])).round(4)
        array([0.7093, 0.2021, 0.0887])
    """
    power = _check.real("power", power, "[0, 1]")
    weights = np.where(_counts(counts) > 0, _counts(counts).astype(float) ** power, 0)
    return weights / weights.sum()


def keep_probability(
    counts: Integer[np.ndarray, " V"],
    *,
    threshold: float = 1e-3,
    form: str = "word2vec",
) -> Float[np.ndarray, " V"]:
    r"""With what probability each token of a frequent word is kept.

    With the relative frequency f of a word and the threshold t, the paper keeps
    :math:`\sqrt{t/f}`, its program :math:`\sqrt{t/f} + t/f`; both at most 1.

    Args:
        counts: how often each word occurs.
        threshold: t, above 0; words rarer than this are always kept.
        form: ``"word2vec"`` as the program does it, or ``"paper"``.

    Raises:
        TypeError: if the counts are no whole numbers.
        ValueError: if one is negative, all are 0, or a setting is out of range.

    Source:
        Mikolov et al. (2013), arXiv:1310.4546, equation 5; word2vec.c.

    Example:
        >>> counts = np.array([1, 99])
        >>> keep_probability(counts, threshold=0.0099, form="paper").round(3)
        array([0.995, 0.1  ])
    """
    threshold = _check.real("threshold", threshold, "(0, inf)")
    _check.one_of("form", form, FORMS)
    frequency = _counts(counts) / _counts(counts).sum()
    ratio = threshold / np.where(frequency > 0, frequency, threshold)
    kept = np.sqrt(ratio) if form == "paper" else np.sqrt(ratio) + ratio
    return kept.clip(max=1)


def subsample(
    sentences: Iterable[Integer[np.ndarray, " _"]],
    keep: Float[np.ndarray, " V"],
    *,
    seed: int = 0,
) -> list[Integer[np.ndarray, " _"]]:
    """Leave out tokens at random; those that remain move together.

    Args:
        sentences: numbers of words.
        keep: see :func:`keep_probability`.
        seed: of the draws.

    Returns:
        As many sentences, some of them perhaps empty.

    Raises:
        TypeError: if a sentence holds anything but whole numbers.
        ValueError: if a number has no probability, a probability lies outside of
            [0, 1], or there is no sentence.

    Source:
        Mikolov et al. (2013), arXiv:1310.4546, section 2.3.

    Example:
        >>> subsample([np.array([0, 1, 0])], np.array([0.0, 1.0]))
        [array([1])]
    """
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    _check.array("keep", keep, "V")
    if keep.min() < 0 or keep.max() > 1:
        raise ValueError(f"keep must lie in [0, 1], got {keep.min()} to {keep.max()}")
    numbers, sentence, number_of = _sentences.joined(sentences, len(keep))
    stays = rng.random(len(numbers)) < keep[numbers]
    lengths = np.bincount(sentence[stays], minlength=number_of)
    return np.split(numbers[stays], lengths.cumsum()[:-1])


def _counts(counts: np.ndarray) -> np.ndarray:
    if not isinstance(counts, np.ndarray) or counts.dtype.kind not in "iu":
        raise TypeError(
            "counts must be a NumPy array of whole numbers, got "
            f"{_check.describe(counts)}"
        )
    if counts.ndim != 1 or counts.size == 0:
        raise ValueError(
            f"counts must have one axis and not be empty, got {_check.describe(counts)}"
        )
    if counts.min() < 0 or counts.max() == 0:
        raise ValueError("counts must not be negative, nor all zero")
    return counts
