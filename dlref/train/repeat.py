"""Runs over several seeds, their spread, and two arms compared.

Shape legend: S seeds, N examples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from dlref import _check
from dlref.data._packages import package
from dlref.device import seed as set_seed

__all__ = ["Comparison", "Repeated", "compare", "repeat"]


@dataclass(frozen=True)
class Repeated:
    """What several runs gave that differ in their seed alone.

    Attributes:
        values: one number a run.
        seeds: the seed of each.

    Source:
        This book.

    Example:
        >>> print(Repeated(np.array([0.25, 0.5, 0.75]), (0, 1, 2)))
        0.5 ± 0.25 (3 seeds)
    """

    values: Float[np.ndarray, " S"]
    seeds: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Mean of the values."""
        return float(self.values.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the values, with S - 1 in the denominator."""
        return float(self.values.std(ddof=1)) if len(self.values) > 1 else float("nan")

    def __str__(self) -> str:
        return f"{self.mean:.3g} ± {self.spread:.2g} ({len(self.seeds)} seeds)"


def repeat(
    run: Callable[[int], Any], seeds: int | Sequence[int] = 5
) -> Repeated | dict[str, Repeated]:
    """Call ``run`` once a seed, and keep every value.

    Before each call :func:`dlref.device.seed` is given the seed, which the run gets as
    well.

    Args:
        run: called with the seed; returns a number, or names with a number each.
        seeds: the seeds, or how many: 0, 1, 2, ...

    Returns:
        One :class:`Repeated`, or for each name one.

    Raises:
        TypeError: if a seed is not an integer, or a run returns no numbers.
        ValueError: if there is no seed, one stands twice, or the runs return different
            names.

    Source:
        Bouthillier et al. (2021), arXiv:2103.03098, on what a single run hides.

    Example:
        >>> repeat(lambda seed: seed / 2, seeds=3).mean
        0.5
    """
    numbers = seeds_of(seeds)
    rows: list[dict[str, float]] = []
    named = False
    for n in numbers:
        set_seed(n)
        result = run(n)
        named = isinstance(result, Mapping)
        row = dict(result) if named else {"": result}
        rows.append({name: _number(value) for name, value in row.items()})
        if rows[-1].keys() != rows[0].keys():
            names = sorted(map(str, rows[-1])), sorted(map(str, rows[0]))
            raise ValueError(f"run must return the names {names[1]}, got {names[0]}")
    found = {
        name: Repeated(np.array([row[name] for row in rows]), numbers)
        for name in rows[0]
    }
    return found if named else found[""]


def seeds_of(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds, given themselves or by their number."""
    if not isinstance(seeds, Sequence):
        seeds = range(_check.integer("seeds", seeds, 1))
    numbers = tuple(_check.integer("seeds", n, 0, 2**32 - 1) for n in seeds)
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"seeds must be at least one, each once, got {numbers}")
    return numbers


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        got = _check.describe(value)
        raise TypeError(f"run must return numbers, got {got}") from error


@dataclass(frozen=True)
class Comparison:
    """By how much one arm differs from another, and how sure that is.

    Attributes:
        difference: mean of the first minus mean of the second.
        low, high: interval that covers the true difference in ``confidence`` of cases.
        p_value: how probable a difference of this size or a larger one is by chance.
        size: pairs.
        pairs: what the pairs are: seeds or examples.
        confidence: of the interval.

    Source:
        See :func:`compare`.

    Example:
        >>> print(Comparison(-0.02, -0.03, -0.01, 0.004, 5, "seeds", 0.95))
        -0.02 [-0.03, -0.01], p = 0.004 (5 seeds)
    """

    difference: float
    low: float
    high: float
    p_value: float
    size: int
    pairs: str
    confidence: float

    @property
    def larger_than_chance(self) -> bool:
        """Whether zero lies outside the interval."""
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        interval = f"[{self.low:.2g}, {self.high:.2g}]"
        chance = f"p = {self.p_value:.2g} ({self.size} {self.pairs})"
        return f"{self.difference:.2g} {interval}, {chance}"


def compare(
    a: Repeated | Shaped[np.ndarray, " N"],
    b: Repeated | Shaped[np.ndarray, " N"],
    *,
    confidence: float = 0.95,
) -> Comparison:
    r"""Compare two arms pair by pair: over seeds, or over the examples of a test set.

    The mean :math:`\bar d` of the differences is given with Student's interval,
    :math:`\bar d \pm t\, s_d / \sqrt{N}`, and the p-value of the paired t-test. For
    two arrays of right and wrong (Boolean) the p-value is McNemar's, exact: of the
    examples on which the two disagree, how many go one way is like tossing a coin.

    Args:
        a: runs of the first arm, or a number for each example.
        b: the second arm: the same seeds, or the same examples in the same order.
        confidence: share of cases in which the interval is to cover the truth.

    Raises:
        TypeError: if one is a :class:`Repeated` and the other is not, or they hold no
            numbers.
        ValueError: if the seeds differ, or the lengths; if there are fewer than two
            pairs; if a value is not finite.
        ImportError: if SciPy is not installed.

    Source:
        McNemar (1947), Psychometrika 12(2); Dietterich (1998), Neural Computation
        10(7), section 3, for its use on classifiers.

    Example:
        >>> a, b = np.array([0.2, 0.3, 0.25]), np.array([0.3, 0.45, 0.3])
        >>> print(compare(a, b))
        -0.1 [-0.22, 0.024], p = 0.074 (3 examples)
    """
    confidence = _check.real("confidence", confidence, "(0, 1)")
    pairs = "examples"
    if isinstance(a, Repeated) and isinstance(b, Repeated):
        pairs = "seeds"
        if a.seeds != b.seeds:
            raise ValueError(f"b must have the seeds of a, {a.seeds}, got {b.seeds}")
        a, b = a.values, b.values
    x, y = _values("a", a), _values("b", b)
    if len(x) != len(y) or len(x) < 2:
        sizes = f"{len(x)} and {len(y)}"
        raise ValueError(f"a and b must be of one length, at least 2, got {sizes}")
    stats = package("scipy.stats")
    d = x.astype(float) - y.astype(float)
    error = d.std(ddof=1) / len(d) ** 0.5
    reach = float(stats.t.ppf((1 + confidence) / 2, len(d) - 1) * error)
    mean = float(d.mean())
    if x.dtype == y.dtype == np.bool_:
        p = _mcnemar(int((x & ~y).sum()), int((~x & y).sum()))
    elif error == 0:
        p = 1.0 if mean == 0 else 0.0
    else:
        p = float(2 * stats.t.sf(abs(mean) / error, len(d) - 1))
    return Comparison(mean, mean - reach, mean + reach, p, len(d), pairs, confidence)


def _values(name: str, value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.ndim == 1:
        return value
    return _check.numbers_array(name, value, "N")


def _mcnemar(first: int, second: int) -> float:
    """Two-sided probability of so uneven a split, or a more uneven one."""
    if first + second == 0:
        return 1.0
    return float(package("scipy.stats").binomtest(first, first + second).pvalue)
