"""A network that sees a window, laid over a picture at all places at once.

Shape legend: B pictures, C channels, H W picture, h w window; R S windows along the
rows and columns.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dlref import _check
from dlref.detection.localization.boxes import box_convert
from dlref.train import evaluating

__all__ = [
    "fully_convolutional",
    "linear_to_conv2d",
    "sliding_windows",
    "window_boxes",
]

# layers that treat each number by itself, so that it does not matter where it stands
ELEMENTWISE = (
    nn.CELU,
    nn.Dropout,
    nn.ELU,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Identity,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Tanh,
)

# layers whose output at one place depends on the whole map, so on the picture's size
WHOLE_MAP = (
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.GroupNorm,
    nn.InstanceNorm2d,
    nn.LayerNorm,
)


def linear_to_conv2d(linear: nn.Linear, size: tuple[int, int, int]) -> nn.Conv2d:
    """The convolution that does to a map what a linear layer does to the flattened map.

    Each output of the layer becomes a channel, whose filter is as large as the map.

    Args:
        linear: its weights are copied; gradients, dtype and device stay as they are.
        size: channels, rows and columns of the map, flattened in this order.

    Returns:
        A convolution without padding, with ``linear.out_features`` channels.

    Raises:
        TypeError: if ``linear`` is no ``nn.Linear``, or a size no integer.
        ValueError: if the map has not as many numbers as the layer has inputs.

    Source:
        Sermanet et al. (2014), arXiv:1312.6229, section 3.5; Long, Shelhamer & Darrell
        (2015), arXiv:1411.4038, section 3.1.

    Example:
        >>> layer = nn.Linear(2 * 3 * 3, 5)
        >>> maps = torch.rand(1, 2, 3, 3)
        >>> as_conv = linear_to_conv2d(layer, (2, 3, 3))(maps).flatten()
        >>> torch.allclose(as_conv, layer(maps.flatten(1)).flatten(), atol=1e-6)
        True
    """
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"linear must be an nn.Linear, got {_check.describe(linear)}")
    channels, rows, columns = _size_of("size", size)
    if channels * rows * columns != linear.in_features:
        raise ValueError(
            f"size must hold linear's {linear.in_features} inputs, got {size!r} with "
            f"{channels * rows * columns}"
        )
    weight = linear.weight
    conv = nn.Conv2d(
        channels, linear.out_features, (rows, columns), bias=linear.bias is not None,
        device=weight.device, dtype=weight.dtype,
    )  # fmt: skip
    with torch.no_grad():
        conv.weight.copy_(weight.reshape(conv.weight.shape))
        if conv.bias is not None:
            conv.bias.copy_(linear.bias)
    conv.weight.requires_grad_(weight.requires_grad)
    if conv.bias is not None:
        conv.bias.requires_grad_(linear.bias.requires_grad)
    return conv.train(linear.training)


def fully_convolutional(
    model: nn.Sequential, size: tuple[int, int, int]
) -> nn.Sequential:
    """The same network, with convolutions in place of its linear layers.

    What was flattened stays a map, so that the network also takes larger pictures, and
    gives one output for each window of the old size, as far apart as the product of
    the strides. In evaluation mode the outputs are those of the windows cut out one by
    one if no layer pads or rounds the size of its output up; with padding, a window cut
    out has zeros around it where the picture goes on.

    Args:
        model: layers for pictures, one ``nn.Flatten()``, then linear layers and
            activations; dropout is allowed.
        size: channels, rows and columns of a window.

    Returns:
        A new network, in the same mode. Its layers in front of ``Flatten`` are those of
        ``model`` itself; the weights behind it are copied.

    Raises:
        TypeError: if the model is no ``nn.Sequential``, or a size no integer.
        ValueError: if there is not just one ``nn.Flatten()``, the model takes no such
            windows, a layer in front of ``Flatten`` looks at a whole map (adaptive
            pooling, layer, group or instance norm), or one behind it is neither linear
            nor an activation that treats each number by itself.

    Source:
        Sermanet et al. (2014), arXiv:1312.6229, section 3.5.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten(), nn.Linear(400, 2))
        >>> wide = fully_convolutional(net, (3, 14, 14))
        >>> wide(torch.zeros(1, 3, 14, 14)).shape, wide(torch.zeros(1, 3, 20, 16)).shape
        (torch.Size([1, 2, 1, 1]), torch.Size([1, 2, 7, 3]))
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"model must be an nn.Sequential, got {_check.describe(model)}")
    channels, rows, columns = _size_of("size", size)
    layers = list(model)
    flat = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten)]
    whole = [i for i in flat if (layers[i].start_dim, layers[i].end_dim) == (1, -1)]
    if len(flat) != 1 or flat != whole:
        raise ValueError(
            f"model must have one nn.Flatten() with its usual axes, got {len(whole)}"
        )
    first, behind = layers[: flat[0]], layers[flat[0] + 1 :]
    trunk = nn.Sequential(*first)
    whole_map = [m for m in trunk.modules() if isinstance(m, WHOLE_MAP)]
    if whole_map:
        got = type(whole_map[0]).__name__
        raise ValueError(
            "model must have no layer in front of its Flatten that looks at the whole "
            f"map, got {got}"
        )
    weight = next(model.parameters(), torch.zeros(()))
    window = torch.zeros(1, channels, rows, columns).to(weight)
    try:
        with torch.no_grad(), evaluating(model):
            maps = trunk(window)
    except RuntimeError as error:
        raise ValueError(
            f"size must be that of a window which model takes, got {size!r}: {error}"
        ) from error
    shape = tuple(maps.shape[1:])
    if len(shape) != 3:
        raise ValueError(
            f"model must give maps in front of its Flatten, got the shape {shape}"
        )
    unknown = [m for m in behind if not isinstance(m, (nn.Linear, *ELEMENTWISE))]
    if unknown:
        raise ValueError(
            "model must have only linear layers and activations behind its Flatten, "
            f"got {type(unknown[0]).__name__}"
        )
    for layer in behind:
        if isinstance(layer, nn.Linear):
            first.append(linear_to_conv2d(layer, shape))
            shape = (layer.out_features, 1, 1)
        else:
            first.append(layer)
    return nn.Sequential(*first).train(model.training)


def sliding_windows(
    x: Float[Tensor, "B C H W"], size: int | tuple[int, int], stride: int = 1
) -> Float[Tensor, "B R S C h w"]:
    """All windows of a size, as far apart as the stride.

    Args:
        x: (B, C, H, W).
        size: rows and columns of a window, or both in one number.
        stride: pixels from one window to the next, along both axes.

    Returns:
        A view of ``x``: (B, R, S, C, h, w), with R x S windows; rows and columns on
        which no whole window fits any more are left out.

    Raises:
        TypeError: if ``x`` is no floating-point tensor, or a number no integer.
        ValueError: if ``x`` has not four axes, a number is below 1, or the window is
            larger than the picture.

    Source:
        torch.Tensor.unfold.

    Example:
        >>> sliding_windows(torch.zeros(1, 3, 28, 16), 14, stride=2).shape
        torch.Size([1, 8, 2, 3, 14, 14])
    """
    _check.tensor("x", x, "B C H W", empty=True)
    sides = size if isinstance(size, tuple) else (size, size)
    height, width = (_check.integer("size", side, 1) for side in sides)
    stride = _check.integer("stride", stride, 1)
    if height > x.shape[2] or width > x.shape[3]:
        raise ValueError(
            f"size must be at most the picture's {x.shape[2]} x {x.shape[3]}, got "
            f"{height} x {width}"
        )
    windows = x.unfold(2, height, stride).unfold(3, width, stride)
    return windows.permute(0, 2, 3, 1, 4, 5)


def window_boxes(
    boxes: Float[Tensor, "B 4 R S"], size: int, stride: int, *, zoom: float = 1.0
) -> Float[Tensor, "B R S 4"]:
    r"""Where in the picture the boxes lie that a network gave for each window.

    .. math::
        x_c = (s j + m b_x) / z, \quad y_c = (s i + m b_y) / z, \quad
        w = m b_w / z, \quad h = m b_h / z

    for the window in row i and column j, steps of s, windows of m and a zoom of z.

    Args:
        boxes: (B, 4, R, S) centre, width and height in parts of the window.
        size: pixels of a window's side.
        stride: pixels from one window to the next.
        zoom: how many times as large as the picture was what the windows slid over.

    Returns:
        (B, R, S, 4), xyxy in pixels of the picture.

    Raises:
        TypeError: if ``boxes`` is no floating-point tensor, ``size`` or ``stride`` no
            integer, or ``zoom`` no number.
        ValueError: if there are not four numbers a window, or one of the others is not
            above 0.

    Source:
        Sermanet et al. (2014), arXiv:1312.6229, section 4.

    Example:
        >>> in_the_middle = torch.tensor([0.5, 0.5, 0.5, 0.5]).expand(1, 3, 1, 4)
        >>> window_boxes(in_the_middle.permute(0, 3, 2, 1), 32, 4)[0, 0]
        tensor([[ 8.,  8., 24., 24.],
                [12.,  8., 28., 24.],
                [16.,  8., 32., 24.]])
    """
    _check.tensor("boxes", boxes, "B four R S", four=4, empty=True)
    size = _check.integer("size", size, 1)
    stride = _check.integer("stride", stride, 1)
    zoom = _check.real("zoom", zoom, "(0, inf)")
    inside = size * box_convert(boxes.permute(0, 2, 3, 1), "cxcywh", "xyxy")
    top, left = (
        stride * torch.arange(count, device=boxes.device, dtype=boxes.dtype)
        for count in boxes.shape[2:]
    )
    corners = torch.stack(torch.meshgrid(left, top, indexing="xy"), -1)
    return (inside + corners.repeat(1, 1, 2)) / zoom


def _size_of(name: str, size: tuple[int, int, int]) -> tuple[int, int, int]:
    if not isinstance(size, tuple) or len(size) != 3:
        raise ValueError(f"{name} must be (channels, rows, columns), got {size!r}")
    channels, rows, columns = (_check.integer(name, side, 1) for side in size)
    return channels, rows, columns
