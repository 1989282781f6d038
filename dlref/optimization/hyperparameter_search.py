"""Search for hyperparameters.

Scales, grids, random points, successive halving, and which of them matter.

Shape legend: n configurations, d hyperparameters.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from dlref import _check
from dlref.data._packages import package

__all__ = [
    "Halving",
    "Scale",
    "choice",
    "grid_search",
    "importance",
    "linear_scale",
    "log_scale",
    "one_minus",
    "random_search",
    "successive_halving",
]

#: From a number in [0, 1] to the value of a hyperparameter.
Scale = Callable[[float], Any]


def linear_scale(low: float, high: float) -> Scale:
    """Values spread evenly between two bounds.

    Args:
        low: the value at 0.
        high: the value at 1, above ``low``.

    Raises:
        TypeError, ValueError: if a bound is not finite, or ``high`` is not above
            ``low``.

    Source:
        This book.

    Example:
        >>> linear_scale(2.0, 4.0)(0.25)
        2.5
    """
    low = _check.real("low", low)
    high = _check.real("high", high, f"({low}, inf)")
    return lambda u: low + u * (high - low)


def log_scale(low: float, high: float) -> Scale:
    r"""Values whose logarithms are spread evenly between two bounds.

    Each factor gets its equal share.

    .. math:: x(u) = \text{low} \left(\frac{\text{high}}{\text{low}}\right)^u

    Args:
        low: the value at 0, above 0.
        high: the value at 1, above ``low``.

    Raises:
        TypeError, ValueError: if a bound is not finite, ``low`` is not above 0, or
            ``high`` is not above ``low``.

    Source:
        Bergstra & Bengio (2012), JMLR 13, draw their rates so.

    Example:
        >>> [
        ...     float(f"{log_scale(1e-7, 1.0)(u):.3g}")
        ...     for u in (0.0, 0.25, 0.5, 0.75, 1.0)
        ... ]
        [1e-07, 5.62e-06, 0.000316, 0.0178, 1.0]
    """
    low = _check.real("low", low, "(0, inf)")
    high = _check.real("high", high, f"({low}, inf)")
    return lambda u: low * (high / low) ** u


def one_minus(scale: Scale) -> Scale:
    r"""One minus the values of a scale.

    For a share of the past near one, spread what it leaves.

    .. math:: \beta(u) = 1 - x(1 - u)

    Args:
        scale: of what is left.

    Raises:
        TypeError: if ``scale`` is no function.

    Source:
        This book.

    Example:
        >>> [round(one_minus(log_scale(0.001, 0.1))(u), 3) for u in (0.0, 0.5, 1.0)]
        [0.9, 0.99, 0.999]
    """
    if not callable(scale):
        raise TypeError(
            "scale must be a function of a number in [0, 1], got "
            f"{_check.describe(scale)}"
        )
    return lambda u: 1 - scale(1 - u)


def choice(*values: Any) -> Scale:
    """One of a few values, each with an equal share of [0, 1].

    Args:
        values: at least one.

    Raises:
        ValueError: if there is no value.

    Source:
        This book.

    Example:
        >>> [choice("relu", "tanh")(u) for u in (0.0, 0.49, 0.5, 1.0)]
        ['relu', 'relu', 'tanh', 'tanh']
    """
    if not values:
        raise ValueError("values must hold at least one value, got none")
    return lambda u: values[min(int(u * len(values)), len(values) - 1)]


def grid_search(
    space: Mapping[str, Scale], points: int
) -> tuple[Float[np.ndarray, "n d"], list[dict[str, Any]]]:
    """All combinations of equally spaced values.

    Args:
        space: name of each hyperparameter to its scale.
        points: values of each, at least 1; the bounds are among them if there are two
            or more.

    Returns:
        The combinations as points of the unit cube, ``points ** d`` of them, and as
        configurations.

    Raises:
        TypeError, ValueError: if ``space`` is empty or ``points`` below 1.

    Source:
        This book.

    Example:
        >>> grid_search({"a": linear_scale(0.0, 1.0), "b": choice("x", "y")}, 2)[1]
        [{'a': 0.0, 'b': 'x'}, {'a': 0.0, 'b': 'y'}, {'a': 1.0, 'b': 'x'}, {'a': 1.0,
        'b': 'y'}]
    """
    points = _check.integer("points", points, 1)
    axis = np.linspace(0, 1, points) if points > 1 else np.array([0.5])
    return _configurations(
        space, np.array(list(itertools.product(axis, repeat=len(space))))
    )


def random_search(
    space: Mapping[str, Scale], size: int, *, seed: int = 0
) -> tuple[Float[np.ndarray, "n d"], list[dict[str, Any]]]:
    """Configurations drawn evenly from the scales, independent of each other.

    Args:
        space: name of each hyperparameter to its scale.
        size: how many, at least 1.
        seed: of the draws.

    Returns:
        The draws as points of the unit cube, and as configurations.

    Raises:
        TypeError, ValueError: if ``space`` is empty or ``size`` below 1.

    Source:
        Bergstra & Bengio (2012), JMLR 13.

    Example:
        >>> u, (first, second) = random_search({"lr": log_scale(1e-3, 1.0)}, 2)
        >>> bool(first["lr"] == log_scale(1e-3, 1.0)(u[0, 0]))
        True
    """
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    return _configurations(
        space, rng.uniform(size=(_check.integer("size", size, 1), len(space)))
    )


def _configurations(
    space: Mapping[str, Scale], u: np.ndarray
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    if not space:
        raise ValueError("space must name at least one hyperparameter, got none")
    return u, [
        {
            name: scale(x)
            for (name, scale), x in zip(space.items(), row.tolist(), strict=True)
        }
        for row in u
    ]


class Halving(NamedTuple):
    """What successive halving found.

    Attributes:
        best: key of the run that is left.
        losses: key to the losses that the run gave while it was in the race.
        spent: steps of all runs together.

    Source:
        This book.

    Example:
        >>> Halving("a", {"a": [1.0]}, 1).best
        'a'
    """

    best: Any
    losses: dict[Any, list[float]]
    spent: int


def successive_halving(
    runs: Mapping[Any, Iterator[float]], *, eta: int = 3, budget: int = 1
) -> Halving:
    r"""Train many a little, keep the best, train those more, until one is left.

    Round k trains each run that is left for :math:`\eta^k` times ``budget`` steps in
    all, then keeps the best :math:`1/\eta` of them. A run is an iterator that trains
    one step and gives its loss whenever it is asked, so nothing is trained twice.

    Args:
        runs: key to run; NaN counts as the worst loss, and a run that ends keeps its
            last one.
        eta: of how many one is kept, at least 2.
        budget: steps of the first round, at least 1.

    Raises:
        TypeError, ValueError: if a number is out of range, there are no runs, or one
            gives no loss at all.

    Source:
        Jamieson & Talwalkar (2016), arXiv:1502.07943; with rounds as in Li et al.
        (2018), arXiv:1603.06560.

    Example:
        >>> runs = {
        ...     rate: iter([1 - rate * t for t in range(1, 10)])
        ...     for rate in (0.01, 0.1, 0.05)
        ... }
        >>> found = successive_halving(runs)
        >>> found.best, found.spent
        (0.1, 5)
    """
    eta, steps = _check.integer("eta", eta, 2), _check.integer("budget", budget, 1)
    if not runs:
        raise ValueError("runs must hold at least one run, got none")
    losses: dict[Any, list[float]] = {key: [] for key in runs}
    left = list(runs)
    while True:
        for key in left:
            losses[key] += map(
                float, itertools.islice(runs[key], steps - len(losses[key]))
            )
            if not losses[key]:
                raise ValueError(f"runs must give a loss each, got none from {key!r}")
        if len(left) == 1:
            return Halving(left[0], losses, sum(map(len, losses.values())))
        left.sort(
            key=lambda key: math.inf if math.isnan(losses[key][-1]) else losses[key][-1]
        )
        left, steps = left[: max(1, len(left) // eta)], steps * eta


def importance(
    u: Float[np.ndarray, "n d"],
    losses: Float[np.ndarray, " n"],
    names: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, float]:
    r"""How much of the variance of the loss each hyperparameter explains by itself.

    Its main effect.

    .. math:: \frac{\operatorname{Var}_{u_j}\,
        \mathbb{E}_{u_{-j}}[f(u)]}{\operatorname{Var}_u f(u)}

    where f is a random forest that was fitted to the losses.

    Args:
        u: configurations as points of the unit cube.
        losses: their losses, finite.
        names: of the d hyperparameters.
        seed: of the forest.

    Returns:
        Name to share; what the shares lack of one is owed to interactions.

    Raises:
        ImportError: if scikit-learn is not installed.
        TypeError, ValueError: if the shapes do not belong together, a value is not
            finite, or all losses are alike.

    Source:
        Hutter, Hoos & Leyton-Brown (2014), ICML, by Monte Carlo over the configurations
        instead of exactly.

    Example:
        >>> u = np.random.default_rng(0).uniform(size=(200, 2))
        >>> shares = importance(u, u[:, 0] ** 2, ["matters", "does not"])
        >>> shares["matters"] > 0.95 > 0.05 > shares["does not"]
        True
    """
    u, losses = (
        _check.array("u", u, "n d", d=len(names)),
        _check.array("losses", losses, "n", n=len(u)),
    )
    if np.ptp(losses) == 0:
        raise ValueError(f"losses must differ, got {losses[0]} throughout")
    forest = package("sklearn.ensemble").RandomForestRegressor(
        100, min_samples_leaf=3, random_state=seed
    )
    forest.fit(u, losses)
    variance = forest.predict(u).var()
    middles = (np.arange(20) + 0.5) / 20  # of equal parts of [0, 1]
    shares = {}
    for j, name in enumerate(names):
        moved = np.repeat(u[None], len(middles), 0)
        moved[:, :, j] = middles[:, None]
        curve = (
            forest.predict(moved.reshape(-1, len(names)))
            .reshape(len(middles), -1)
            .mean(1)
        )
        shares[name] = float(curve.var() / variance)
    return shares
