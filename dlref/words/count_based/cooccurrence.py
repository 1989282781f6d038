"""How often two words stand near each other.

Shape legend: V words of the vocabulary, T tokens of a sentence.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Integer
from scipy import sparse

from dlref import _check
from dlref.words import _sentences, _tables

__all__ = ["clip_counts", "cooccurrences"]

WEIGHTS = ("flat", "linear", "harmonic")
SIDES = ("both", "left", "right")
ENOUGH = 2**23  # pairs that wait to be counted: 64 MiB


def cooccurrences(
    sentences: Iterable[Integer[np.ndarray, " _"]],
    size: int,
    *,
    window: int = 5,
    weighting: str = "flat",
    side: str = "both",
) -> sparse.csr_array:
    r"""Count, for each word, the words that stand at most ``window`` places from it.

    .. math::
        X_{wc} = \sum_{\text{sentences}} \sum_{s \ne t} a_{|s - t|}\,
        [x_t = w]\,[x_s = c]\,[|s - t| \le k]

    No pair reaches over the end of a sentence. A sentence of T > k words has
    2 k T - k (k + 1) ordered pairs.

    Args:
        sentences: numbers of words, as :meth:`Vocabulary.encode` gives them; a negative
            number holds a place and is counted with nothing.
        size: V.
        window: k, the largest distance.
        weighting: what a pair at distance d counts, :math:`a_d`: ``"flat"`` 1,
            ``"linear"`` 1 - (d - 1)/k, as windows of random width give it on average,
            ``"harmonic"`` 1/d.
        side: ``"left"`` counts as context only what stands before the word, ``"right"``
            what stands after it; ``"both"`` is their sum, a symmetric matrix.

    Returns:
        (V, V), one row a word, one column a context word, with the non-zeros alone;
        whole numbers if the weighting is flat.

    Raises:
        TypeError: if a sentence holds anything but whole numbers.
        ValueError: if there is no sentence, a number is V or larger, or a setting is
            out of range.

    Source:
        Lund & Burgess (1996), Behavior Research Methods 28, for ``"linear"``;
        Pennington, Socher & Manning (2014), EMNLP, for ``"harmonic"``; ``"linear"`` is
        what word2vec does in the mean: Levy, Goldberg & Dagan (2015), TACL 3,
        section 3.1.

    Example:
        >>> cooccurrences([np.array([0, 1, 0])], 2, window=1).toarray()
        array([[0, 2],
               [2, 0]])
    """
    size = _check.integer("size", size, 1)
    window = _check.integer("window", window, 1)
    _check.one_of("weighting", weighting, WEIGHTS)
    _check.one_of("side", side, SIDES)
    numbers, sentence, _ = _sentences.joined(sentences, size, places=True)
    right = sparse.csr_array((size, size), dtype=np.int64)
    waiting, pairs = 0, []
    for distance in range(1, min(window, len(numbers) - 1) + 1):
        first, second = numbers[:-distance], numbers[distance:]
        near = sentence[:-distance] == sentence[distance:]
        near &= (first >= 0) & (second >= 0)
        pairs.append((first * size + second)[near])
        waiting += len(pairs[-1])
        if weighting == "linear":
            right = right + _counted(pairs, size) * (1 - (distance - 1) / window)
        elif weighting == "harmonic":
            right = right + _counted(pairs, size) * (1 / distance)
        elif waiting > ENOUGH:
            right = right + _counted(pairs, size)
        else:
            continue
        waiting, pairs = 0, []
    if weighting == "flat":
        right = right + _counted(pairs, size)
    right = sparse.csr_array(right, dtype=np.int64 if weighting == "flat" else float)
    if side == "right":
        return right
    left = right.T.tocsr()
    return left if side == "left" else sparse.csr_array(right + left)


def clip_counts(counts: np.ndarray | sparse.sparray, limit: float) -> sparse.csr_array:
    """The counts, or ``limit`` where they are larger: min(count, t).

    Args:
        counts: of pairs, NumPy or SciPy's sparse arrays.
        limit: t, above 0.

    Returns:
        Floating-point numbers, the non-zeros alone.

    Raises:
        TypeError: if the counts are no array of numbers, or the limit is no number.
        ValueError: if a count is not finite, or the limit not above 0.

    Source:
        This book, after a remedy that lectures give against frequent words.

    Example:
        >>> clip_counts(sparse.csr_array([[7, 1]]), 5.0).toarray()
        array([[5., 1.]])
    """
    _check.real("limit", limit, "(0, inf]")
    table = _tables.table("counts", counts)
    entries = (np.minimum(table.values, limit), (table.rows, table.columns))
    return sparse.csr_array(entries, table.shape)


def _counted(pairs: list[np.ndarray], size: int) -> sparse.csr_array:
    """A table of pairs that are coded as one number each."""
    codes = np.concatenate([*pairs, np.zeros(0, dtype=np.int64)])
    different, counts = np.unique(codes, return_counts=True)
    return sparse.csr_array((counts, np.divmod(different, size)), (size, size))
