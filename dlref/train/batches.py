"""What data may be, and what a batch of it holds.

Tensors, a Dataset or a DataLoader; a batch is a pair (inputs, targets), a longer tuple
whose last part are the targets, or a dictionary with the targets under a known name.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from dlref import _check

Data = tuple[Tensor, ...] | Mapping[str, Tensor] | Dataset | DataLoader

_TARGETS = ("labels", "label", "targets", "target", "y")


def length(name: str, data: Any) -> int:
    """How many examples there are, or an error that names the argument."""
    if isinstance(data, DataLoader):
        size = len(data)
    elif isinstance(data, tuple | Mapping):
        parts = list(data.values() if isinstance(data, Mapping) else data)
        if len(parts) < 2 or not all(isinstance(p, Tensor) and p.ndim for p in parts):
            raise TypeError(
                f"{name} must be {_KINDS}, got "
                f"({', '.join(map(_check.describe, parts))})"
            )
        sizes = [len(part) for part in parts]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"{name} must hold as many inputs as targets, got "
                f"{' and '.join(map(str, sizes))}"
            )
        size = sizes[0]
    elif isinstance(data, Dataset) and hasattr(data, "__len__"):
        size = len(data)  # type: ignore[arg-type]
    else:
        raise TypeError(f"{name} must be {_KINDS}, got {_check.describe(data)}")
    if size == 0:
        raise ValueError(f"{name} must not be empty")
    return size


_KINDS = "a tuple of tensors (inputs, targets), a Dataset or a DataLoader"


def split(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch."""
    if isinstance(batch, Mapping):
        names = [name for name in _TARGETS if name in batch]
        if len(names) != 1:
            raise TypeError(
                "a batch that is a dictionary must have its targets under one of "
                f"{', '.join(_TARGETS)}, got {', '.join(map(str, batch))}"
            )
        rest = {name: value for name, value in batch.items() if name != names[0]}
        return rest, batch[names[0]]
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TypeError(
            "a batch must be (inputs, targets) or a dictionary, got "
            f"{_check.describe(batch)}"
        )
    *inputs, targets = batch
    return (inputs[0] if len(inputs) == 1 else tuple(inputs)), targets


def outputs(model: nn.Module, inputs: Any) -> Any:
    """What the model makes of inputs; a tuple or dictionary are its arguments."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if type(inputs) is tuple else model(inputs)


def each(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply a function to every tensor, wherever in tuples and dictionaries it is."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {name: each(function, part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [each(function, part) for part in value]
        named = hasattr(value, "_fields")  # a tuple of a type of its own stays one
        return type(value)(*parts) if named else tuple(parts)
    return value


def size_of(value: Any) -> int:
    """How many examples there are: the length of the first tensor that has one."""
    sizes: list[int] = []
    each(lambda tensor: sizes.extend(tensor.shape[:1]), value)
    return sizes[0]


def moved(value: Any, device: torch.device) -> Any:
    """Wherever the tensors of a batch are, or what else can be sent to a device."""
    send = getattr(value, "to", None)
    if callable(send):
        return send(device)
    if isinstance(value, Mapping):
        return {name: moved(part, device) for name, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [moved(part, device) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def generators_of(data: Any) -> list[torch.Generator]:
    """Those that the order of a DataLoader's batches is drawn from."""
    if not isinstance(data, DataLoader):
        return []
    owners = data, data.sampler, data.batch_sampler
    found = [getattr(owner, "generator", None) for owner in owners]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())


def set_epoch(data: Any, epoch: int) -> None:
    """Tell a DataLoader's samplers, where they want to know, which epoch it is."""
    for owner in (getattr(data, "sampler", None), getattr(data, "batch_sampler", None)):
        tell = getattr(owner, "set_epoch", None)
        if callable(tell):
            tell(epoch)


def weight_of(loss: Any, data: Any) -> Callable[[Tensor], float] | None:
    """From targets to what the mean of their losses was divided by.

    Known for cross-entropies with class weights and ignored targets; for other losses,
    and where all of the data counts alike, each example counts once, which None says.
    """
    settings: dict[str, Any] = {}
    while isinstance(loss, partial):
        settings = {**loss.keywords, **settings}
        loss = loss.func
    if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss):
        settings = {
            name: getattr(loss, name)
            for name in ("weight", "ignore_index", "reduction")
        }
    elif loss not in (F.cross_entropy, F.nll_loss):
        return None
    if settings.get("reduction", "mean") != "mean":
        return None
    weight, ignored = settings.get("weight"), settings.get("ignore_index", -100)
    known = weight is None and isinstance(data, tuple | Mapping)
    if known and not (split(data)[1] == ignored).any():
        return None

    def weigh(targets: Tensor) -> float:
        if targets.is_floating_point():  # probabilities of the classes, on axis 1
            return targets.numel() / targets.shape[1]
        counted = targets[targets != ignored]
        if weight is None:
            return float(counted.numel())
        return float(weight.to(targets.device)[counted].sum())

    return weigh
