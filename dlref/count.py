"""What there is to count in a network.

Its layers, their outputs, parameters and multiplications.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlref import _check
from dlref.train.evaluation import evaluating

__all__ = ["Layer", "layer_table", "weight_layers"]


class Layer(NamedTuple):
    """A row of :func:`layer_table`.

    Attributes:
        name: dotted name of the module.
        kind: its class.
        output: shape of its output for one example.
        parameters: its trainable numbers.
        multiplications: products that it takes for one example.

    Source:
        This book.

    Example:
        >>> Layer("fc", "Linear", (10,), 850, 840).parameters
        850
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiplications: int


def layer_table(
    model: nn.Module, input_size: Sequence[int], *, depth: int | None = None
) -> list[Layer]:
    r"""List the layers of a network, with what they cost for one example.

    They stand in the order in which they run.

    A convolution takes :math:`O P Q\,(C/G)\,K L` multiplications, a transposed one
    :math:`C H W\,(O/G)\,K L`, a fully connected layer one a weight and position,
    everything else none. Papers call these multiply-adds, or FLOPs.

    Args:
        model: any network of one input; it is run once, on its own device (the ``meta``
            device will do).
        input_size: shape of one example, without the batch.
        depth: how many parts a name may have; what lies deeper is counted with the
            module that holds it. By default every layer has a row of its own.

    Raises:
        TypeError: if ``model`` is no module, or a size or ``depth`` is not an integer.
        ValueError: if a size or ``depth`` is below 1, or a module that ``depth`` ends
            at is never called as a whole.

    Source:
        Dumoulin & Visin (2016), arXiv:1603.07285, for the output sizes that the count
        rests on.

    Example:
        >>> layer_table(nn.Conv2d(3, 10, 3), (3, 6, 6))
        [Layer(name='', kind='Conv2d', output=(10, 4, 4), parameters=280,
        multiplications=4320)]
    """
    _check_model(model)
    size = [_check.integer("input_size", n, 1) for n in input_size]
    if depth is not None:
        _check.integer("depth", depth, 1)
    first = next(model.parameters(), torch.empty(0))
    rows: list[Layer] = []
    spent: Counter[str] = Counter()

    def record(
        name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> None:
        part = ".".join(name.split(".")[:depth])
        if not list(module.children()):
            spent[part] += multiplications(module, inputs[0], output)
        if name == part:
            own = sum(p.numel() for p in module.parameters())
            rows.append(
                Layer(
                    name,
                    type(module).__name__,
                    tuple(output.shape[1:]),
                    own,
                    spent.pop(name, 0),
                )
            )

    with _hooked(model, record, depth), evaluating(model):
        model(torch.zeros(1, *size, dtype=first.dtype, device=first.device))
    if spent:
        raise ValueError(
            f"depth must end at modules that are called, got {depth} and "
            f"{', '.join(spent)}"
        )
    return rows


def weight_layers(model: nn.Module) -> list[str]:
    """Names of the layers that a network's depth is counted by.

    Those with a weight matrix or kernel.

    Activations, pooling and normalisation are not counted, and neither is the input.

    Args:
        model: any network.

    Raises:
        TypeError: if ``model`` is no module.

    Source:
        The convention of Simonyan & Zisserman (2015), arXiv:1409.1556, whose VGG-16 has
        16 such layers.

    Example:
        >>> weight_layers(
        ...     nn.Sequential(
        ...         nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1)
        ...     )
        ... )
        ['0', '3']
    """
    _check_model(model)
    return [
        name
        for name, module in model.named_modules()
        if any(p.ndim >= 2 for p in module.parameters(recurse=False))
    ]


def multiplications(module: nn.Module, x: Tensor, output: Tensor) -> int:
    """Each number of the output is a sum over the kernel.

    In a transposed convolution each of the input paints one.
    """
    weight = getattr(module, "weight", None)
    if (
        not isinstance(weight, Tensor)
        or weight.ndim < 2
        or isinstance(module, nn.Embedding)
    ):
        return 0
    return (x if getattr(module, "transposed", False) else output)[0].numel() * weight[
        0
    ].numel()


@contextmanager
def _hooked(
    model: nn.Module, hook: Callable[..., None], depth: int | None
) -> Iterator[None]:
    """Call ``hook`` with name, module, inputs and output, for a while.

    Of all leaves, and of all modules at ``depth``.
    """
    handles = [
        module.register_forward_hook(partial(hook, name))
        for name, module in model.named_modules()
        if not list(module.children()) or (name and len(name.split(".")) == depth)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
