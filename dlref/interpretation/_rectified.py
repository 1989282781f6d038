"""Rectifiers whose backward pass has another rule, put in the place of all others."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class Rectified(torch.autograd.Function):
    """A rectifier, clipped at ``high``, whose backward pass has a rule of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, high: float, guided: bool) -> Tensor:
        ctx.save_for_backward((x > 0) & (x < high))
        ctx.guided = guided
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (active,) = ctx.saved_tensors
        positive = grads[0].clamp(min=0)
        return (positive * active if ctx.guided else positive), None, None


_INF = float("inf")
_Bounds = tuple[Any, Any]


def _relu(*_: Any, **__: Any) -> _Bounds:
    return 0, _INF


def _relu6(*_: Any, **__: Any) -> _Bounds:
    return 0, 6


def _hardtanh(
    _: Tensor, min_val: Any = -1.0, max_val: Any = 1.0, *__: Any, **___: Any
) -> _Bounds:
    return min_val, max_val


def _clamp(_: Tensor, min: Any = None, max: Any = None) -> _Bounds:  # noqa: A002  torch's names
    return min, (_INF if max is None else max)


def _threshold(_: Tensor, threshold: Any, value: Any, *__: Any, **___: Any) -> _Bounds:
    return (0 if threshold == value == 0 else None), _INF


def _functions(*names: str) -> list[Any]:
    """Those of torch, of a tensor and of torch.nn.functional that have these names."""
    owners = (torch, Tensor, F)
    return [getattr(owner, n) for owner in owners for n in names if hasattr(owner, n)]


_BOUNDS: dict[Any, Callable[..., _Bounds]] = {
    **dict.fromkeys(_functions("relu", "relu_"), _relu),
    **dict.fromkeys(_functions("relu6"), _relu6),
    **dict.fromkeys(_functions("hardtanh", "hardtanh_"), _hardtanh),
    **dict.fromkeys(_functions("clamp", "clamp_", "clip", "clip_"), _clamp),
    **dict.fromkeys(_functions("clamp_min", "clamp_min_"), _clamp),
    **dict.fromkeys(_functions("threshold", "threshold_"), _threshold),
}
"""Where a function of torch cuts its input off, from its arguments."""
_IN_PLACE = {
    f
    for name in ("relu_", "hardtanh_", "clamp_", "clip_", "clamp_min_", "threshold_")
    for f in _functions(name)
}


class Rule(TorchFunctionMode):
    """Replaces the rectifiers that are called: as a layer, function or method.

    These are relu, relu6, hardtanh, clamp, clip and threshold that cut off at zero, and
    ``where`` and ``maximum`` with zero.
    """

    def __init__(self, *, guided: bool) -> None:
        super().__init__()
        self.guided = guided

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = list(args) or [kwargs.get("input")]
        rectified = _of_two(func, given)
        if rectified is not None:
            return Rectified.apply(rectified, _INF, self.guided)
        if func not in _BOUNDS or not _has_gradient(given[0]):
            return func(*args, **kwargs)
        named = {name: v for name, v in kwargs.items() if name != "input"}
        low, high = _BOUNDS[func](*given, **named)
        if isinstance(low, Tensor) or isinstance(high, Tensor) or low != 0:
            return func(*args, **kwargs)
        out = Rectified.apply(given[0], float(high), self.guided)  # type: ignore[arg-type]
        if func in _IN_PLACE or kwargs.get("inplace"):
            return given[0].copy_(out)
        return out


def _has_gradient(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _of_two(func: Any, given: list[Any]) -> Tensor | None:
    """What ``where`` or ``maximum`` rectifies, if that is what they do."""
    if func is torch.where and len(given) == 3:
        condition, yes, no = given
        if _is_zero(yes) and _has_gradient(no) and torch.equal(condition, no <= 0):
            return no
        if _is_zero(no) and _has_gradient(yes) and torch.equal(condition, yes > 0):
            return yes
    if func in (torch.maximum, torch.fmax, Tensor.maximum, Tensor.fmax):
        for one, other in (given, given[::-1]):
            if _has_gradient(one) and _is_zero(other):
                return one
    return None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and not value.count_nonzero()
    return value == 0
