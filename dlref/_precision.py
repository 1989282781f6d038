"""Half precision and automatic mixed precision, as torch's own layers treat them."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

_HALVES = (torch.float16, torch.bfloat16)


def autocast(*tensors: Tensor | None) -> list[Any]:
    """Tensors in the type that ``torch.autocast`` asks of products, if it is on."""
    first = next(t for t in tensors if t is not None)
    if not _autocasts(first):
        return list(tensors)
    dtype = torch.get_autocast_dtype(first.device.type)
    return [
        t.to(dtype) if t is not None and t.dtype in (*_HALVES, torch.float32) else t
        for t in tensors
    ]


def in_single(
    operation: Callable[..., Any], *tensors: Tensor | None, **settings: Any
) -> Any:
    """Compute in single precision what is given in half, and round the result once.

    Of several results the first is rounded.
    """
    first = next(t for t in tensors if t is not None)
    kind = first.device.type
    with torch.autocast(kind, enabled=False) if _autocasts(first) else nullcontext():
        if first.dtype not in _HALVES:
            return operation(*tensors, **settings)
        wide = [None if t is None else t.float() for t in tensors]
        found = operation(*wide, **settings)
        if isinstance(found, tuple):
            return found[0].to(first.dtype), *found[1:]
        return found.to(first.dtype)


def _autocasts(x: Tensor) -> bool:
    return x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)
