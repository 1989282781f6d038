"""What vectors of words are used and judged for: neighbours, analogies, similarity.

Shape legend: V words, D numbers of a vector, Q questions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from dlref import _check

__all__ = [
    "AnalogyScore",
    "SimilarityScore",
    "WordVectors",
    "analogy_score",
    "similarity_gain",
    "similarity_scores",
]

METHODS = ("add", "multiply")


class WordVectors:
    """Words with a vector each, compared by the cosine.

    Args:
        words: V different words.
        vectors: (V, D). A vector of zeros is like no other: its cosines are 0.

    Attributes:
        words: the words.
        vectors: the vectors as they came.
        directions: the vectors divided by their lengths; in single precision if the
            vectors are in half.

    Raises:
        TypeError: if the vectors are no array of floating-point numbers.
        ValueError: if there are not as many as words, a word comes twice, or a number
            is not finite.

    Source:
        The cosine of counts: Salton, Wong & Yang (1975), Communications of the ACM 18.

    Example:
        >>> vectors = WordVectors(
        ...     ("up", "top", "left"), np.array([[0.0, 2], [1, 1], [-3, 0]])
        ... )
        >>> vectors.neighbours("up", 1)
        [('top', 0.7071067811865475)]
    """

    def __init__(self, words: Sequence[str], vectors: Float[np.ndarray, "V D"]) -> None:
        self.words = tuple(words)
        self.vectors = _check.array("vectors", vectors, "V D", V=len(self.words))
        self._numbers = {word: number for number, word in enumerate(self.words)}
        if len(self._numbers) < len(self.words):
            raise ValueError(
                f"words must be different, got {len(self.words)} of which "
                f"{len(self._numbers)} are"
            )
        wide = self.vectors.astype(np.result_type(self.vectors, np.float32))
        largest = abs(wide).max(1, keepdims=True)  # no length overflows or vanishes
        scaled = wide / np.where(largest == 0, 1, largest)
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        self.directions = scaled / np.where(lengths == 0, 1, lengths)

    def number(self, word: str) -> int:
        """The row of a word.

        Raises:
            KeyError: if there is no vector for it.
        """
        if word not in self._numbers:
            raise KeyError(
                f"word must be one of {len(self)} with a vector, got {word!r}"
            )
        return self._numbers[word]

    def similarity(self, first: str, second: str) -> float:
        """The cosine of two words' vectors, from -1 to 1.

        Raises:
            KeyError: if a word is unknown.
        """
        a, b = self.number(first), self.number(second)
        return float(self.directions[a] @ self.directions[b])

    def neighbours(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The n words with the largest cosines to one, and these; without itself.

        Fewer, if there are not so many others.

        Raises:
            TypeError: if n is no whole number.
            ValueError: if n is less than 1.
            KeyError: if the word is unknown.
        """
        row = self.number(word)
        n = _check.integer("n", n, 1)
        return self._best(self.directions @ self.directions[row], {row}, n)

    def analogy(
        self,
        a: str,
        b: str,
        c: str,
        n: int = 1,
        *,
        exclude: bool = True,
        method: str = "add",
    ) -> list[tuple[str, float]]:
        r"""Words d so that a is to b as c is to d.

        ``"add"`` ranks by :math:`\cos(d, b - a + c)`, the three divided by their
        lengths first; ``"multiply"`` by :math:`s(d, b)\, s(d, c) / (s(d, a) + 0.001)`
        with :math:`s = (1 + \cos)/2`.

        Args:
            a: as in "man is to king as woman is to ...".
            b: king.
            c: woman.
            n: how many words; fewer, if there are not so many.
            exclude: whether a, b and c themselves are no answers. Without it the
                answer is mostly b or c.
            method: see above.

        Raises:
            TypeError: if n is no whole number.
            ValueError: if n is less than 1, or the method unknown.
            KeyError: if a word is unknown.

        Source:
            Mikolov, Yih & Zweig (2013), NAACL; ``"multiply"``: Levy & Goldberg (2014),
            CoNLL, equation 4.
        """
        rows = [self.number(word) for word in (a, b, c)]
        _check.one_of("method", method, METHODS)
        barred = set(rows) if exclude else set()
        n = _check.integer("n", n, 1)
        return self._best(self._answers(np.array([rows]), method)[0], barred, n)

    def _answers(self, rows: np.ndarray, method: str) -> np.ndarray:
        """How well each word answers each question, (Q, V)."""
        cosines = [self.directions[column] @ self.directions.T for column in rows.T]
        if method == "add":
            a, b, c = (self.directions[column] for column in rows.T)
            length = np.linalg.norm(b - a + c, axis=1, keepdims=True)
            to_a, to_b, to_c = cosines
            return (to_b - to_a + to_c) / np.where(length == 0, 1, length)
        to_a, to_b, to_c = ((1 + cosine) / 2 for cosine in cosines)
        return to_b * to_c / (to_a + 0.001)

    def _best(
        self, scores: np.ndarray, barred: set[int], n: int
    ) -> list[tuple[str, float]]:
        order = np.argsort(-scores, kind="stable")[: n + len(barred)]
        kept = [row for row in order if row not in barred][:n]
        return [(self.words[row], float(scores[row])) for row in kept]

    def __getitem__(self, word: str) -> Float[np.ndarray, " D"]:
        return self.vectors[self.number(word)]

    def __contains__(self, word: object) -> bool:
        return word in self._numbers

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        size = self.vectors.shape[1]
        return f"{type(self).__name__}({len(self)} words, {size} numbers each)"


class SimilarityScore(NamedTuple):
    """How well cosines follow the judgement of people.

    Attributes:
        correlation: Spearman's, of the cosines with the judgements.
        low: lower end of the interval.
        high: upper end of the interval.
        pairs: how many pairs of words were compared.

    Source:
        See :func:`similarity_scores`.

    Example:
        >>> SimilarityScore(0.5, 0.3, 0.7, 50).pairs
        50
    """

    correlation: float
    low: float
    high: float
    pairs: int


def similarity_scores(
    models: Mapping[str, WordVectors],
    pairs: Iterable[tuple[str, str, float]],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, SimilarityScore]:
    """Spearman's correlation of cosines with judgements, on the pairs that all know.

    The interval is that of the bootstrap over pairs (percentiles); two models whose
    intervals overlap may still differ surely, since they are asked the same pairs: see
    :func:`similarity_gain`.

    Args:
        models: vectors, by name.
        pairs: two words and how alike people found them; pairs of which a model lacks a
            word are left out for all.
        confidence: of the interval, in (0, 1).
        resamples: how many samples of the pairs are drawn.
        seed: of the draws.

    Raises:
        TypeError: if a setting is no number.
        ValueError: if fewer than three pairs are known to all, no model is given, a
            mark is not finite, a model's cosines or all marks are equal, or a setting
            is out of range.

    Source:
        Finkelstein et al. (2002), ACM Transactions on Information Systems 20(1), for
        the test; Efron & Tibshirani (1993), "An Introduction to the Bootstrap",
        chapter 13.

    Example:
        >>> words = WordVectors("abcd", np.array([[1.0, 0], [1, 0.1], [1, 1], [0, 1]]))
        >>> asked = [("a", "b", 9.0), ("a", "c", 6.0), ("a", "d", 1.0), ("c", "x", 5.0)]
        >>> similarity_scores({"ours": words}, asked)["ours"].pairs
        3
    """
    found = {}
    known, samples = _judged(models, list(pairs), resamples, seed)
    for name, values in samples.items():
        low, high = _interval(values[1:], confidence)
        found[name] = SimilarityScore(float(values[0]), low, high, known)
    return found


def similarity_gain(
    better: WordVectors,
    other: WordVectors,
    pairs: Iterable[tuple[str, str, float]],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> SimilarityScore:
    """How much larger the correlation of one model is than that of another.

    Both are asked the same pairs, drawn anew together (paired bootstrap).

    Args:
        better: whose correlation is counted positively.
        other: what it is compared with.
        pairs: see :func:`similarity_scores`.
        confidence: see :func:`similarity_scores`.
        resamples: see :func:`similarity_scores`.
        seed: see :func:`similarity_scores`.

    Returns:
        The difference of the correlations, with its interval.

    Raises:
        TypeError, ValueError: see :func:`similarity_scores`.

    Source:
        See :func:`similarity_scores`.

    Example:
        >>> words = WordVectors("abcd", np.array([[1.0, 0], [1, 0.1], [1, 1], [0, 1]]))
        >>> asked = [("a", "b", 9.0), ("a", "c", 6.0), ("a", "d", 1.0)]
        >>> similarity_gain(words, words, asked).correlation
        0.0
    """
    models = {"better": better, "other": other}
    known, samples = _judged(models, list(pairs), resamples, seed)
    gain = samples["better"] - samples["other"]
    return SimilarityScore(float(gain[0]), *_interval(gain[1:], confidence), known)


class AnalogyScore(NamedTuple):
    """How many questions were answered rightly.

    Attributes:
        accuracy: the share of the questions asked.
        asked: questions of which all four words are known.
        total: all questions.

    Source:
        See :func:`analogy_score`.

    Example:
        >>> AnalogyScore(0.25, 40, 100).asked
        40
    """

    accuracy: float
    asked: int
    total: int


def analogy_score(
    vectors: WordVectors,
    questions: Iterable[tuple[str, str, str, str]],
    *,
    exclude: bool = True,
    method: str = "add",
) -> AnalogyScore:
    """The share of questions a : b = c : ? that are answered with the right word.

    Args:
        vectors: of words.
        questions: four words each, the last one wanted; those with an unknown word are
            not asked.
        exclude: see :meth:`WordVectors.analogy`.
        method: see :meth:`WordVectors.analogy`.

    Raises:
        ValueError: if no question can be asked, or the method is unknown.

    Source:
        Mikolov, Chen, Corrado & Dean (2013), arXiv:1301.3781, section 4.1.

    Example:
        >>> square = WordVectors("abcd", np.array([[1.0, 0], [1, 1], [-1, 0], [-1, 1]]))
        >>> analogy_score(square, [("a", "b", "c", "d"), ("a", "b", "c", "x")])
        AnalogyScore(accuracy=1.0, asked=1, total=2)
    """
    _check.one_of("method", method, METHODS)
    asked, total = [], 0
    for question in questions:
        total += 1
        if all(word in vectors for word in question):
            asked.append([vectors.number(word) for word in question])
    if not asked:
        raise ValueError(f"questions must hold one with known words, got {total}")
    rows = np.array(asked)
    right = 0
    for part in np.array_split(rows, -(-len(rows) // 500)):  # (500, V) at a time
        scores = vectors._answers(part[:, :3], method)
        if exclude:
            np.put_along_axis(scores, part[:, :3], -np.inf, 1)
        right += int((scores.argmax(1) == part[:, 3]).sum())
    return AnalogyScore(right / len(rows), len(rows), total)


def _judged(
    models: Mapping[str, WordVectors],
    pairs: list[tuple[str, str, float]],
    resamples: int,
    seed: int,
) -> tuple[int, dict[str, np.ndarray]]:
    """How many pairs all know; the correlations on all of them, then on samples."""
    resamples = _check.integer("resamples", resamples, 1)
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    if not models:
        raise ValueError("models must not be empty")
    known = [
        pair
        for pair in pairs
        if all(word in model for word in pair[:2] for model in models.values())
    ]
    if len(known) < 3:
        raise ValueError(f"pairs must hold three that all know, got {len(known)}")
    judged = np.array([score for _, _, score in known], dtype=float)
    if not np.isfinite(judged).all():
        raise ValueError("pairs must have finite marks")
    drawn = rng.integers(len(known), size=(resamples, len(known)))
    drawn = np.concatenate((np.arange(len(known))[None], drawn))
    found = {}
    for name, model in models.items():
        cosines = np.array([model.similarity(a, b) for a, b, _ in known])
        if np.ptp(cosines) == 0 or np.ptp(judged) == 0:
            raise ValueError(
                "cosines and judgements must not all be equal, as they are for "
                f"{name!r}"
            )
        found[name] = _rank_correlations(cosines[drawn], judged[drawn])
    return len(known), found


def _interval(samples: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - _check.real("confidence", confidence, "(0, 1)")) / 2
    low, high = np.nanquantile(samples, (tail, 1 - tail))
    return float(low), float(high)


def _rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of one with that row of the other."""
    ranks = [stats.rankdata(values, axis=1) for values in (first, second)]
    centred = [rank - rank.mean(1, keepdims=True) for rank in ranks]
    deviation = [np.sqrt((rank**2).sum(1)) for rank in centred]
    with np.errstate(invalid="ignore"):  # a sample of one pair alone has none: NaN
        found = (centred[0] * centred[1]).sum(1) / (deviation[0] * deviation[1])
    return found.clip(-1, 1)
