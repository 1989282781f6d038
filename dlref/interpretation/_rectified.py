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


_BOUNDS: dict[Any, Callable[..., _Bounds]] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_), _relu),
    **dict.fromkeys((Tensor.relu, Tensor.relu_), _relu),
    F.relu6: _relu6,
    **dict.fromkeys((F.hardtanh, F.hardtanh_), _hardtanh),
    **dict.fromkeys((torch.clamp, Tensor.clamp, Tensor.clamp_), _clamp),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min, Tensor.clamp_min_), _clamp),
}
"""Where a function of torch cuts its input off, from its arguments."""
_IN_PLACE = (
    torch.relu_,
    Tensor.relu_,
    F.hardtanh_,
    Tensor.clamp_,
    Tensor.clamp_min_,
)


class Rule(TorchFunctionMode):
    """Replaces every rectifier that is called: as a layer, function or method."""

    def __init__(self, *, guided: bool) -> None:
        super().__init__()
        self.guided = guided

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = list(args) or [kwargs.get("input")]
        if func is torch.where and _is_rectifier(given):
            return Rectified.apply(given[2], _INF, self.guided)
        if func not in _BOUNDS:
            return func(*args, **kwargs)
        named = {name: v for name, v in kwargs.items() if name != "input"}
        low, high = _BOUNDS[func](*given, **named)
        if isinstance(low, Tensor) or isinstance(high, Tensor) or low != 0:
            return func(*args, **kwargs)
        out = Rectified.apply(given[0], float(high), self.guided)  # type: ignore[arg-type]
        if func in _IN_PLACE or kwargs.get("inplace"):
            return given[0].copy_(out)
        return out


def _is_rectifier(given: list[Any]) -> bool:
    """Whether ``where`` is asked for zero where x is not positive, as dlref's relu."""
    if len(given) != 3 or isinstance(given[1], Tensor) or given[1] != 0:
        return False
    condition, _, x = given
    return isinstance(x, Tensor) and torch.equal(condition, x <= 0)
