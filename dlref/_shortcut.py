"""Operations with a definition and a faster way to the same numbers.

The definition is written in operations that torch can differentiate, transform and
compile. The faster way serves eager mode, forward and first derivative; all else goes
by the definition: ``torch.compile``, ``torch.func`` and forward-mode derivatives.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import (  # no public name says it
    is_functorch_wrapped_tensor,
    is_legacy_batchedtensor,
)
from torch.autograd import forward_ad

Gradients = Sequence[Tensor | None]

_CHUNK = 2**19  # numbers of a chunk, so that it stays in a cache


def chunks(*batches: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """A few images of each batch at a time."""
    images = max(1, _CHUNK // max(1, batches[0][:1].numel()))
    return zip(*(batch.split(images) for batch in batches), strict=True)


def shortcut(
    definition: Callable[..., Tensor],
    forward: Callable[..., tuple[Tensor, ...]],
    backward: Callable[..., Gradients],
    *,
    twice: bool = False,
) -> Callable[..., Tensor]:
    """Make one function of the three; it is called with tensors, settings by name.

    Args:
        definition: the operation.
        forward: of the same arguments; the output, and after it tensors that
            ``backward`` wants.
        backward: of the gradient of the output, those tensors, for each input whether
            its gradient is wanted, and the same arguments; one gradient an input.
        twice: whether ``backward`` may itself be differentiated. Otherwise second
            derivatives go by the definition.
    """

    class Shortcut(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, settings: dict, *tensors: Tensor) -> tuple[Tensor, ...]:
            # with the context, since torch reads the signature anew at every call of
            # one without; torch.func, which wants that, goes by the definition
            output = forward(*tensors, **settings)
            ctx.settings, ctx.size = settings, len(tensors)
            ctx.mark_non_differentiable(*output[1:])
            ctx.save_for_backward(*tensors, *output[1:])
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
            saved = ctx.saved_tensors  # unpacked once: who recomputes them counts
            tensors, kept = saved[: ctx.size], saved[ctx.size :]
            wanted = ctx.needs_input_grad[1:]
            batched = is_legacy_batchedtensor(grads[0])
            if batched or (torch.is_grad_enabled() and not twice):
                function = partial(definition, **ctx.settings)
                return None, *_differentiable(function, grads[0], wanted, tensors)
            found = backward(grads[0], kept, wanted, *tensors, **ctx.settings)
            return None, *found

    def call(*tensors: Tensor, **settings: Any) -> Tensor:
        if _by_definition(tensors):
            return definition(*tensors, **settings)
        return Shortcut.apply(settings, *tensors)[0]  # type: ignore[index]

    return call


def _by_definition(tensors: Sequence[Tensor]) -> bool:
    """Compiled, empty, inside torch.func, or with a forward-mode tangent."""
    return (
        torch.compiler.is_compiling()
        or not tensors[0].numel()
        or any(is_functorch_wrapped_tensor(t) for t in tensors)
        or any(forward_ad.unpack_dual(t).tangent is not None for t in tensors)
    )


def _differentiable(
    function: Callable[..., Tensor],
    g: Tensor,
    wanted: Sequence[bool],
    tensors: Sequence[Tensor],
) -> Gradients:
    """Gradients of a function, such that they can be differentiated."""
    with torch.enable_grad():
        y = function(*tensors)
        inputs = [t for t, needed in zip(tensors, wanted, strict=True) if needed]
        grads = torch.autograd.grad(y, inputs, g, create_graph=True, allow_unused=True)
    found = iter(grads)
    return [next(found) if needed else None for needed in wanted]
