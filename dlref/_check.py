"""Checks of arguments.

Each error names the argument, what was expected and what came.
"""

import math
import numbers
from collections.abc import Collection
from typing import Any

import numpy as np


def describe(value: Any) -> str:
    """Say what a wrong value is, in a few words.

    Example:
        >>> describe(np.zeros((2, 3)))
        'float64 array of shape (2, 3)'
        >>> describe("abc")
        "'abc' (str)"
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = "array" if isinstance(value, np.ndarray | np.generic) else "tensor"
        return f"{value.dtype} {kind} of shape {tuple(value.shape)}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int in [low, high], or raise."""
    expected = (
        f"{name} must be an integer >= {low}"
        if high is None
        else f"{name} must be an integer in [{low}, {high}]"
    )
    symbol = type(value).__name__ == "SymInt"  # of torch, where a size is left open
    if not symbol:
        if isinstance(value, bool | np.bool_) or not isinstance(
            value, numbers.Integral
        ):
            raise TypeError(f"{expected}, got {describe(value)}")
        value = int(value)
    if value < low or (high is not None and value > high):
        raise ValueError(f"{expected}, got {value}")
    return value


def real(name: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """Return ``value`` as a float in ``interval``, such as ``"[0, 1)"``."""
    expected = f"{name} must be a number in {interval}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{expected}, got {describe(value)}")
    value = float(value)
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    below = value <= high if interval[-1] == "]" else value < high
    if not (above and below):  # written so that NaN fails
        raise ValueError(f"{expected}, got {value}")
    return value


def text(name: str, value: Any) -> str:
    """Return ``value`` if it is a string that is not empty, or raise."""
    if not isinstance(value, str) or not value:
        raise TypeError(
            f"{name} must be a string that is not empty, got {describe(value)}"
        )
    return value


def one_of(name: str, value: Any, choices: Collection[Any]) -> Any:
    """Return ``value`` if it is among ``choices``, or raise."""
    if value not in choices:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, choices))}, got "
            f"{describe(value)}"
        )
    return value


def array(
    name: str, value: Any, shape: str, *, finite: bool = True, **sizes: int
) -> np.ndarray:
    """Return ``value`` if it is a float array of the shape ``"m n"``, or raise.

    It must not be empty, and without NaN.

    Args:
        name: the argument's name, for the message.
        value: what the caller passed.
        shape: one word an axis; ``"..."`` in front stands for any number of axes.
        finite: look at the values too.
        sizes: the size that an axis must have, by its word.
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name} must be a NumPy array of shape ({shape}), got {describe(value)}"
        )
    floating = value.dtype.kind == "f"
    _numeric(name, value, shape, floating=floating, empty=False, sizes=sizes)
    if finite and not np.isfinite(value).all():
        raise ValueError(
            f"{name} must be finite, got {int((~np.isfinite(value)).sum())} NaN or "
            "infinite values"
        )
    return value


def numbers_array(name: str, value: Any, shape: str, **sizes: int) -> np.ndarray:
    """Return ``value`` as :func:`array` does.

    Whole numbers and truth values are taken as well, and become floats.
    """
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu":
        value = value.astype(float)
    return array(name, value, shape, finite=True, **sizes)


def tensor(
    name: str, value: Any, shape: str, *, empty: bool = False, **sizes: int
) -> Any:
    """Return ``value`` if it is a float tensor of the shape ``"B C H W"``, or raise.

    It must not be empty, unless ``empty`` says that it may.

    Values are not looked at: that would cost a synchronisation with the device on every
    call.
    """
    import torch  # only callers that already use torch come here

    if not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor of shape ({shape}), got {describe(value)}"
        )
    floating = value.is_floating_point()
    _numeric(name, value, shape, floating=floating, empty=empty, sizes=sizes)
    return value


def _numeric(
    name: str,
    value: Any,
    shape: str,
    *,
    floating: bool,
    empty: bool,
    sizes: dict[str, int],
) -> None:
    axes = shape.split()
    letters = ", ".join(f"{a}={sizes[a]}" if a in sizes else a for a in axes)
    expected = f"{name} must have shape ({letters})"
    leading = axes[:1] == ["..."]
    axes = axes[leading:]
    if value.ndim < len(axes) or (value.ndim > len(axes) and not leading):
        raise ValueError(f"{expected}, got {describe(value)}")
    trailing = value.shape[value.ndim - len(axes) :]
    if any(
        size != sizes.get(axis, size) for axis, size in zip(axes, trailing, strict=True)
    ):
        raise ValueError(f"{expected}, got {describe(value)}")
    if not empty and math.prod(value.shape) == 0:
        raise ValueError(f"{name} must not be empty, got {describe(value)}")
    if not floating:
        raise TypeError(
            f"{name} must hold floating-point numbers, got {describe(value)}"
        )


def binary_labels(name: str, value: Any, size: int | tuple[int, ...]) -> np.ndarray:
    """Return ``value`` as floats if it is zeros and ones of that size or shape.

    Otherwise raise.
    """
    shape = (size,) if isinstance(size, int) else size
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be a NumPy array of shape {shape} of zeros and ones, got "
            f"{describe(value)}"
        )
    if value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {describe(value)}")
    wrong = value[(value != 0) & (value != 1)]
    if wrong.size:
        raise ValueError(f"{name} must hold only 0 and 1, got {wrong[0]} among them")
    return value.astype(float)
