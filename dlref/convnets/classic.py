"""The classic architectures, and what there is to count in a network.

Shape legend: B batch, C channels, H W image.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.train import evaluating

__all__ = ["Layer", "LeNet5", "layer_table", "lenet5", "weight_layers"]


class LeNet5(nn.Module):
    """LeNet-5: two convolutions with pooling, a convolution that sees everything, two fully connected layers.

    ======  ==============  ==========  ==========
    layer   kind            output      parameters
    ======  ==============  ==========  ==========
    C1      5 x 5, 6        6 x 28x28   156
    S2      2 x 2 mean      6 x 14x14   0
    C3      5 x 5, 16       16 x 10x10  2,416
    S4      2 x 2 mean      16 x 5x5    0
    C5      5 x 5, 120      120 x 1x1   48,120
    F6      linear          84          10,164
    output  linear          10          850
    ======  ==============  ==========  ==========

    Args:
        num_classes: size of the output.
        activation: makes the activation after C1, C3, C5 and F6.

    Raises:
        TypeError: if ``num_classes`` is not an integer.
        ValueError: if ``num_classes`` is below 1, or in :meth:`forward` the images are not 1 x 28 x 28.

    Source:
        LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11), section II.B. Differs: 28 x 28 images padded to
        32 x 32 inside C1; plain means in S2 and S4 (the paper's have a trained factor and bias); C3 sees all six maps
        (the paper's Table I leaves some out); tanh unscaled; a linear output with softmax cross-entropy instead of
        radial basis functions.

    Example:
        >>> LeNet5()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, *, activation: Callable[[], nn.Module] = nn.Tanh) -> None:
        super().__init__()
        _check.integer("num_classes", num_classes, 1)
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),  # C1
            activation(),
            nn.AvgPool2d(2),  # S2
            nn.Conv2d(6, 16, kernel_size=5),  # C3
            activation(),
            nn.AvgPool2d(2),  # S4
            nn.Conv2d(16, 120, kernel_size=5),  # C5
            activation(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(120, 84),  # F6
            activation(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Float[Tensor, "B 1 28 28"]) -> Float[Tensor, "B classes"]:
        """Scores (logits) of each class."""
        _check.tensor("x", x, "B C H W", C=1, H=28, W=28)
        return self.classifier(self.features(x).flatten(1))


def lenet5(num_classes: int = 10) -> LeNet5:
    """Build LeNet-5 with tanh and 61,706 parameters for ten classes.

    Args:
        num_classes: size of the output.

    Raises:
        TypeError: if ``num_classes`` is not an integer.
        ValueError: if ``num_classes`` is below 1.

    Source:
        See :class:`LeNet5`.

    Example:
        >>> sum(p.numel() for p in lenet5().parameters())
        61706
    """
    return LeNet5(num_classes)


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


def layer_table(model: nn.Module, input_size: Sequence[int]) -> list[Layer]:
    r"""List the layers of a network in the order in which they run, with what they cost for one example.

    A convolution takes :math:`O P Q\,(C/G)\,K L` multiplications, a fully connected layer one a weight and position,
    everything else none.

    Args:
        model: any network of one input; it is run once, on its own device (the ``meta`` device will do).
        input_size: shape of one example, without the batch.

    Raises:
        TypeError: if ``model`` is no module, or a size is not an integer.
        ValueError: if a size is below 1.

    Source:
        Dumoulin & Visin (2016), arXiv:1603.07285, for the output sizes that the count rests on.

    Example:
        >>> layer_table(nn.Conv2d(3, 10, 3), (3, 6, 6))
        [Layer(name='', kind='Conv2d', output=(10, 4, 4), parameters=280, multiplications=4320)]
    """
    _check_model(model)
    size = [_check.integer("input_size", n, 1) for n in input_size]
    first = next(model.parameters(), torch.empty(0))
    rows: list[Layer] = []

    def record(name: str, module: nn.Module, _: object, output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        own = sum(p.numel() for p in module.parameters())
        rows.append(Layer(name, type(module).__name__, shape, own, _multiplications(module, output)))

    with _hooked(model, record), evaluating(model):
        model(torch.zeros(1, *size, dtype=first.dtype, device=first.device))
    return rows


def weight_layers(model: nn.Module) -> list[str]:
    """Names of the layers that a network's depth is counted by: those with a weight matrix or kernel.

    Activations, pooling and normalisation are not counted, and neither is the input.

    Args:
        model: any network.

    Raises:
        TypeError: if ``model`` is no module.

    Source:
        The convention of Simonyan & Zisserman (2015), arXiv:1409.1556, whose VGG-16 has 16 such layers.

    Example:
        >>> len(weight_layers(lenet5()))
        5
    """
    _check_model(model)
    return [
        name for name, module in model.named_modules() if any(p.ndim >= 2 for p in module.parameters(recurse=False))
    ]


def _multiplications(module: nn.Module, output: Tensor) -> int:
    if isinstance(module, nn.Conv2d):
        return output[0].numel() * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return output[0].numel() * module.in_features
    return 0


@contextmanager
def _hooked(model: nn.Module, hook: Callable[..., None]) -> Iterator[None]:
    """Call ``hook`` with name, module, inputs and output of every leaf; take the hooks off whatever happens."""
    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    handles = [module.register_forward_hook(partial(hook, name)) for name, module in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {_check.describe(model)}")
