"""What a network computes on its way to an answer.

Shape legend: B batch, C classes, ... any further axes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dlref import _check

__all__ = ["layer_outputs"]

Target = int | tuple[int, ...] | Int[Tensor, " B"]


class _Enough(Exception):  # noqa: N818  not an error: no later layer is needed
    """All layers that were asked for have given their output."""


@contextmanager
def recorded(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Keep the first output of each layer of the next call.

    The network goes on with a copy, so that a layer that works in place, as a rectifier
    may, does not change what is kept.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
    known = dict(model.named_modules(remove_duplicate=False))  # a layer with two names
    kept: dict[str, Tensor] = {}
    handles = []

    def keep(name: str, output: Any) -> Any:
        if name in kept:
            return output
        if not isinstance(output, Tensor):
            got = _check.describe(output)
            raise TypeError(f"layer {name!r} must give a tensor, got {got}")
        kept[name] = output
        return output.clone()

    for name in layers:
        if not name or name not in known:
            raise ValueError(
                "layers must be names of parts of the model, such as "
                f"{list(known)[-1]!r}, got {name!r}"
            )
    for name in layers:
        hook = lambda _module, _inputs, output, name=name: keep(name, output)  # noqa: E731
        handles.append(known[name].register_forward_hook(hook))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def layer_outputs(
    model: nn.Module, x: Float[Tensor, "B ..."], layers: Sequence[str]
) -> dict[str, Tensor]:
    """Outputs of some layers; what comes after the last of them is not computed.

    Gradients flow through them. A layer that is called more than once gives its first
    output.

    Args:
        model: the network, in evaluation or in training mode, as it is.
        x: its inputs.
        layers: names as in ``model.named_modules()``, such as ``"features.3"``.

    Returns:
        Name to output, in the order of ``layers``.

    Raises:
        TypeError: if ``model`` is no module, or a layer gives no tensor.
        ValueError: if there is no such layer, or the model never calls it.

    Source:
        This book.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> found = layer_outputs(net, torch.zeros(5, 2), ["0", "1"])
        >>> {name: tuple(value.shape) for name, value in found.items()}
        {'0': (5, 3), '1': (5, 3)}
    """
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers must be a list of names, got {layers!r}")
    with recorded(model, layers) as kept:
        wanted = set(layers)

        def stop(*_: Any) -> None:
            if wanted <= set(kept):
                raise _Enough

        # after the hook that keeps, since hooks run in the order of their registration
        parts = dict(model.named_modules(remove_duplicate=False))
        handles = [parts[name].register_forward_hook(stop) for name in wanted]
        try:
            model(x.clone())  # its first layer may work in place
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
    missing = [name for name in layers if name not in kept]
    if missing:
        raise ValueError(f"layers must be called by the model, {missing} are not")
    return {name: kept[name] for name in layers}


def asked(model: nn.Module, x: Tensor) -> Tensor:
    """What a model in evaluation mode gives for x."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
    if any(module.training for module in model.modules()):
        raise ValueError("model must be in evaluation mode: call model.eval() before")
    return model(x.clone())  # its first layer may work in place


def scores(model: nn.Module, x: Tensor, target: Target) -> Tensor:
    """The output that is asked about, one number for each example: (B,)."""
    out = asked(model, x)
    if not isinstance(out, Tensor) or out.ndim < 2 or len(out) != len(x):
        got = _check.describe(out)
        raise ValueError(f"model must give scores of shape (B, classes), got {got}")
    if isinstance(target, Tensor):
        return _of_each(out, target)
    place = target if isinstance(target, tuple) else (target,)
    if len(place) != out.ndim - 1:
        raise ValueError(
            f"target must have an index for each axis of {tuple(out.shape[1:])}, "
            f"got {target!r}"
        )
    for index, size in zip(place, out.shape[1:], strict=True):
        _check.integer("target", index, 0, size - 1)
    return out[(slice(None), *place)]


def _of_each(out: Tensor, target: Tensor) -> Tensor:
    """The score of a class of its own for each example."""
    whole = not target.is_floating_point() and target.dtype != torch.bool
    if target.shape != out.shape[:1] or not whole or out.ndim != 2:
        got = _check.describe(target)
        raise ValueError(f"target must hold {len(out)} classes, got {got}")
    if ((target < 0) | (target >= out.shape[1])).any():
        raise ValueError(
            f"target must be classes from 0 to {out.shape[1] - 1}, "
            f"got {target.min()} to {target.max()}"
        )
    return out.gather(1, target[:, None].long())[:, 0]
