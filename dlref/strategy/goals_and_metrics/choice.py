"""One number to optimise, and others that only have to be good enough."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dlref import _check

__all__ = ["Choice", "choose"]

BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Choice(NamedTuple):
    """Which model is chosen, and why the others are not.

    Attributes:
        best: the first of those that are best among the admissible.
        ties: others that are exactly as good.
        refused: for each model that is not admissible, the conditions it misses.

    Source:
        See :func:`choose`.

    Example:
        >>> Choice("b", (), {"a": ("ms <= 100, got 120",)}).best
        'b'
    """

    best: str
    ties: tuple[str, ...]
    refused: dict[str, tuple[str, ...]]


def choose(
    models: Mapping[str, Mapping[str, float]],
    *,
    optimise: str,
    satisfy: Mapping[str, str] | None = None,
    maximise: bool = True,
) -> Choice:
    """The model that is best by one metric among those that satisfy the others.

    Args:
        models: for each model its metrics by name.
        optimise: the metric that decides.
        satisfy: a condition for each metric that only has to be good enough, such as
            ``{"milliseconds": "<= 100", "recall": "> 0.9"}``.
        maximise: whether more of ``optimise`` is better; False for errors and costs.

    Raises:
        TypeError: if a metric is no number.
        ValueError: if a model lacks a metric, a metric is NaN, a condition cannot be
            read, or no model satisfies all conditions (the message says what each
            misses).

    Source:
        Ng (2018), Machine Learning Yearning, chapter 9.

    Example:
        >>> models = {
        ...     "small": {"f1": 0.90, "milliseconds": 80},
        ...     "large": {"f1": 0.95, "milliseconds": 1500},
        ... }
        >>> choose(models, optimise="f1", satisfy={"milliseconds": "<= 100"}).best
        'small'
    """
    if not models:
        raise ValueError("models must name at least one model, got none")
    conditions = {
        name: _condition(name, text) for name, text in (satisfy or {}).items()
    }
    refused: dict[str, tuple[str, ...]] = {}
    values: dict[str, float] = {}
    for model, metrics in models.items():
        value = _metric(model, metrics, optimise)
        missed = []
        for name, (sign, bound) in conditions.items():
            found = _metric(model, metrics, name)
            if not BOUNDS[sign](found, bound):
                missed.append(f"{name} {sign} {bound:g}, got {found:g}")
        if missed:
            refused[model] = tuple(missed)
        else:
            values[model] = value
    if not values:
        told = "; ".join(f"{model}: {', '.join(m)}" for model, m in refused.items())
        raise ValueError(
            f"models must hold one that satisfies all conditions, got {told}"
        )
    top = max(values.values()) if maximise else min(values.values())
    best, *ties = [model for model, value in values.items() if value == top]
    return Choice(best, tuple(ties), refused)


def _condition(name: str, text: str) -> tuple[str, float]:
    found = re.fullmatch(
        r"\s*(<=|>=|<|>)\s*(\S+)\s*", _check.text(f"satisfy[{name!r}]", text)
    )
    try:
        return found[1], float(found[2])  # type: ignore[index]  # None is caught below
    except (TypeError, ValueError):
        raise ValueError(
            f"satisfy[{name!r}] must be a sign and a number such as '<= 100', got "
            f"{text!r}"
        ) from None


def _metric(model: str, metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        raise ValueError(
            f"models[{model!r}] must have the metric {name!r}, got {sorted(metrics)}"
        )
    return _check.real(f"models[{model!r}][{name!r}]", metrics[name])
