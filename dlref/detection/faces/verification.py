"""What a measure of similarity is worth: pairs, rates of error, one-shot recognition.

Shape legend: N pictures, P pairs, K people.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from torch.utils.data import Sampler

from dlref import _check
from dlref.strategy.goals_and_metrics.curves import roc_curve

__all__ = [
    "BalancedBatches",
    "Pairs",
    "TrueAccepts",
    "all_pairs",
    "false_matches",
    "one_shot_accuracy",
    "tar_at_far",
]


class Pairs(NamedTuple):
    """All pairs of two pictures.

    Attributes:
        first: number of one picture.
        second: number of the other, larger than the first.
        same: whether both show one person.

    Source:
        See :func:`all_pairs`.

    Example:
        >>> all_pairs(np.array([0, 0, 1])).same
        array([ True, False, False])
    """

    first: Int[np.ndarray, " P"]
    second: Int[np.ndarray, " P"]
    same: Bool[np.ndarray, " P"]


class TrueAccepts(NamedTuple):
    """How many of the right people a threshold lets in.

    Attributes:
        rate: share of the pairs of one person that are accepted.
        threshold: the least score that is accepted.
        false_rate: share of the pairs of two people that are accepted.

    Source:
        See :func:`tar_at_far`.

    Example:
        >>> tar_at_far(np.array([True, False]), np.array([0.9, 0.1])).rate
        1.0
    """

    rate: float
    threshold: float
    false_rate: float


def all_pairs(labels: Int[np.ndarray, " N"]) -> Pairs:
    """Every pair of two pictures, and whether both are of one person.

    Args:
        labels: (N,) who it is.

    Returns:
        N (N - 1) / 2 pairs.

    Source:
        This book.

    Example:
        >>> pairs = all_pairs(np.repeat(np.arange(40), 10))
        >>> len(pairs.same), pairs.same.sum()
        (79800, np.int64(1800))
    """
    first, second = np.triu_indices(len(labels), 1)
    return Pairs(first, second, labels[first] == labels[second])


def tar_at_far(
    same: Bool[np.ndarray, " P"], scores: Float[np.ndarray, " P"], far: float = 0.01
) -> TrueAccepts:
    """The most pairs of one person that can be accepted at a rate of false ones.

    Args:
        same: (P,) whether a pair shows one person.
        scores: (P,) the larger, the more alike; a distance with its sign turned.
        far: at most this share of the pairs of two people is accepted.

    Returns:
        The rate of true accepts, the threshold, and the rate of false accepts that it
        has, which may be less than ``far``: a threshold lets equal scores in together.
        If nothing can be accepted, the threshold is infinite.

    Raises:
        TypeError: if ``far`` is no number.
        ValueError: if lengths differ, a score is not finite, ``far`` lies outside of
            [0, 1], or one of the two kinds of pairs is missing.

    Source:
        Klare et al. (2015), CVPR (IJB-A), for the name; a point of the ROC curve.

    Example:
        >>> same = np.array([True, True, False, False])
        >>> tar_at_far(same, np.array([0.9, 0.4, 0.6, 0.1]), far=0.0)
        TrueAccepts(rate=0.5, threshold=0.9, false_rate=0.0)
    """
    far = _check.real("far", far, "[0, 1]")
    if same.all() or not same.any():
        kind = "two people" if same.any() else "one person"
        raise ValueError(f"same must have pairs of both kinds, got none of {kind}")
    false_rate, rate, threshold = roc_curve(same, scores, drop_intermediate=False)
    last = np.searchsorted(false_rate, far, side="right") - 1
    return TrueAccepts(
        float(rate[last]), float(threshold[last]), float(false_rate[last])
    )


def false_matches(far: float, people: int) -> float:
    r"""How probably a stranger is taken for one of several people.

    .. math:: 1 - (1 - \mathrm{FAR})^K

    if the comparisons are independent.

    Args:
        far: probability that two given people are taken for one.
        people: K, with how many the stranger is compared.

    Raises:
        TypeError: if ``people`` is no integer, or ``far`` no number.
        ValueError: if ``far`` lies outside of [0, 1], or ``people`` is below 0.

    Source:
        Daugman (2000), "Biometric decision landscapes", Cambridge TR 482.

    Example:
        >>> round(false_matches(0.001, 1000), 2)
        0.63
    """
    far = _check.real("far", far, "[0, 1]")
    people = _check.integer("people", people, 0)
    if far == 1:
        return float(people > 0)
    return -math.expm1(people * math.log1p(-far))  # exact for small rates too


def one_shot_accuracy(
    distances: Float[np.ndarray, "N N"], labels: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " K"]:
    """How often a picture is nearest to the one known picture of its own person.

    In turn the first, the second, ... picture of each person is the one that is known,
    and all others are to be recognised.

    Args:
        distances: (N, N) of all pairs; row, the picture to be recognised.
        labels: (N,) who it is; two pictures of everybody at least.

    Returns:
        (K,) for each person, in rising order of the labels, the share of right answers.
        Where m people are equally near, the right one counts 1 / m. With two people
        chance is 1/2, with K it is 1 / K.

    Raises:
        ValueError: if the shapes do not fit, a distance is NaN, or somebody has one
            picture only.

    Source:
        Lake, Salakhutdinov & Tenenbaum (2015), Science 350, for the task.

    Example:
        >>> x = np.array([0.0, 1.0, 5.0, 6.0])
        >>> one_shot_accuracy(abs(x[:, None] - x), np.array([0, 0, 1, 1]))
        array([1., 1.])
    """
    if distances.shape != (len(labels),) * 2:
        got = _check.describe(distances)
        raise ValueError(f"distances must be a table of {len(labels)} rows, got {got}")
    if np.isnan(distances).any():
        raise ValueError("distances must not be NaN")
    people, who, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if not len(people) or counts.min() < 2:
        raise ValueError("labels must have two pictures of everybody at least")
    of_person = [np.flatnonzero(who == k) for k in range(len(people))]
    right, asked = np.zeros(len(people)), np.zeros(len(people))
    for turn in range(counts.max()):
        known = np.array([rows[turn % len(rows)] for rows in of_person])
        probes = np.setdiff1d(np.arange(len(labels)), known)
        to_known = distances[np.ix_(probes, known)]
        nearest = to_known == to_known.min(1, keepdims=True)
        own = nearest[np.arange(len(probes)), who[probes]] / nearest.sum(1)
        right += np.bincount(who[probes], own, len(people))
        asked += np.bincount(who[probes], minlength=len(people))
    return right / asked


class BalancedBatches(Sampler[list[int]]):
    """Batches with several pictures of each of several people.

    A batch of pictures drawn at random has few pairs of one person, or none. For a
    DataLoader, as ``batch_sampler``.

    Args:
        labels: (N,) who it is.
        people: how many in a batch.
        pictures: how many of each; of somebody who has fewer, some more than once.
        batches: how many make an epoch.
        seed: of the first epoch; each epoch is drawn anew.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if one is below 1, or there are not so many people.

    Source:
        Hermans, Beyer & Leibe (2017), arXiv:1703.07737, section 2 ("PK batches").

    Example:
        >>> batches = BalancedBatches(np.repeat([0, 1, 2], 5), 2, 3, batches=4)
        >>> [len(batch) for batch in batches]
        [6, 6, 6, 6]
    """

    def __init__(
        self,
        labels: Int[np.ndarray, " N"],
        people: int,
        pictures: int,
        *,
        batches: int,
        seed: int = 0,
    ) -> None:
        known = np.unique(labels)
        self.people = _check.integer("people", people, 1, len(known))
        self.pictures = _check.integer("pictures", pictures, 1)
        self.batches = _check.integer("batches", batches, 1)
        self.rows = [np.flatnonzero(labels == who) for who in known]
        self.rng = np.random.default_rng(_check.integer("seed", seed, 0))

    def __len__(self) -> int:
        """The number of batches."""
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of an epoch."""
        for _ in range(self.batches):
            batch: list[int] = []
            for who in self.rng.choice(len(self.rows), self.people, replace=False):
                rows = self.rows[who]
                again = len(rows) < self.pictures
                batch += self.rng.choice(rows, self.pictures, replace=again).tolist()
            yield batch
