"""Mirrors dlref/detection/localization/windows.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.count import layer_table
from dlref.detection import fully_convolutional, linear_to_conv2d, sliding_windows, window_boxes


def small(padding: int = 0, seed: int = 0):
    """The network of the OverFeat example, with windows of 14 x 14, in double precision and with its statistics."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=padding), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * (5 + padding) ** 2, 20), nn.Tanh(), nn.Dropout(0.5), nn.Linear(20, 4),
    ).double()  # fmt: skip
    net(torch.rand(4, 3, 14, 14, dtype=torch.float64))
    return net.eval()


# ------------------------------------------------------------------------------------------------ one layer


@pytest.mark.verifies("eq-fc-as-conv")
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_a_convolution_as_large_as_the_map_is_the_linear_layer(channels, rows, columns, out, bias):
    layer = nn.Linear(channels * rows * columns, out, bias=bias).double()
    maps = torch.rand(3, channels, rows, columns, dtype=torch.float64)
    conv = linear_to_conv2d(layer, (channels, rows, columns))
    assert conv(maps).shape == (3, out, 1, 1)
    torch.testing.assert_close(conv(maps).flatten(1), layer(maps.flatten(1)), rtol=0, atol=1e-12)


def test_weights_are_copied_with_what_belongs_to_them():
    layer = nn.Linear(12, 2).double().eval()
    layer.weight.requires_grad_(False)
    conv = linear_to_conv2d(layer, (3, 2, 2))
    assert conv.weight.dtype == torch.float64
    assert not conv.weight.requires_grad
    assert conv.bias.requires_grad
    assert not conv.training
    with torch.no_grad():
        conv.weight.zero_()
    assert layer.weight.all()
    layer.bias.requires_grad_(False)
    assert not linear_to_conv2d(layer.train(), (3, 2, 2)).bias.requires_grad
    assert linear_to_conv2d(layer, (3, 2, 2)).training
    assert linear_to_conv2d(nn.Linear(12, 2, device="meta"), (3, 2, 2)).weight.device.type == "meta"


def test_another_order_of_flattening_is_another_function():
    layer, maps = nn.Linear(3 * 4 * 5, 2), torch.rand(1, 3, 4, 5)
    right = linear_to_conv2d(layer, (3, 4, 5))
    wrong = layer.weight.reshape(2, 4, 5, 3).permute(0, 3, 1, 2)
    assert wrong.shape == right.weight.shape
    assert not torch.allclose(nn.functional.conv2d(maps, wrong, layer.bias), right(maps), atol=1e-3)


# ------------------------------------------------------------------------------------------------ the network


@pytest.mark.verifies("eq-windows")
@pytest.mark.parametrize(("height", "width"), [(14, 14), (16, 16), (28, 28), (17, 23)])
def test_one_pass_gives_what_the_windows_give_one_by_one(height, width):
    net = small()
    x = torch.rand(2, 3, height, width, dtype=torch.float64)
    with torch.no_grad():
        at_once = fully_convolutional(net, (3, 14, 14))(x)
        windows = sliding_windows(x, 14, 2)
        one_by_one = net(windows.reshape(-1, 3, 14, 14)).reshape(*windows.shape[:3], 4).permute(0, 3, 1, 2)
    assert at_once.shape == (2, 4, (height - 14) // 2 + 1, (width - 14) // 2 + 1)
    torch.testing.assert_close(at_once, one_by_one, rtol=0, atol=1e-12)


def test_padding_breaks_it():
    net = small(padding=2)
    x = torch.rand(1, 3, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        at_once = fully_convolutional(net, (3, 14, 14))(x)
        windows = sliding_windows(x, 14, 2)
        one_by_one = net(windows.reshape(-1, 3, 14, 14)).reshape(8, 8, 4).permute(2, 0, 1)[None]
        alone = fully_convolutional(net, (3, 14, 14))(x[..., :14, :14])[..., 0, 0]
    wide = at_once.shape[-1]
    assert wide == 8
    assert (at_once - one_by_one).abs().max() > 0.01
    torch.testing.assert_close(alone, net(x[..., :14, :14]), rtol=0, atol=1e-12)


def test_fact_of_the_multiplications():
    """14 x 14 x 3, sixteen filters of 5, pooling, 400, 400, 4: 64 windows apart, and one pass of 28 x 28."""
    net = nn.Sequential(
        nn.Conv2d(3, 16, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 400), nn.Linear(400, 400), nn.Linear(400, 4)
    )
    rows = {row.name: row.multiplications for row in layer_table(net, (3, 14, 14))}
    wide = fully_convolutional(net, (3, 14, 14))
    once = {row.name: row.multiplications for row in layer_table(wide, (3, 28, 28))}
    assert 64 * sum(rows.values()) == 28_262_400
    assert sum(once.values()) == 21_273_600
    assert 64 * rows["0"] / once["0"] == pytest.approx(11.1, abs=0.05)


def test_mode_and_layers_in_front_are_those_of_the_model():
    net = small().train()
    wide = fully_convolutional(net, (3, 14, 14))
    assert wide.training
    assert wide[0] is net[0]
    assert net.training
    assert net[1].num_batches_tracked == 1, "the network is asked in evaluation mode"
    assert not fully_convolutional(net.eval(), (3, 14, 14)).training
    assert [type(layer).__name__ for layer in wide[4:]] == ["Conv2d", "Tanh", "Dropout", "Conv2d"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: linear_to_conv2d(nn.Conv2d(1, 1, 1), (1, 1, 1)),
            TypeError,
            "linear must be an nn.Linear, got Conv2d(",
        ),
        (
            lambda: linear_to_conv2d(nn.Linear(12, 2), (3, 2, 3)),
            ValueError,
            "size must hold linear's 12 inputs, got (3, 2, 3) with 18",
        ),
        (
            lambda: linear_to_conv2d(nn.Linear(12, 2), (3, 4)),
            ValueError,
            "size must be (channels, rows, columns), got (3, 4)",
        ),
        (
            lambda: linear_to_conv2d(nn.Linear(12, 2), [3, 2, 2]),
            ValueError,
            "size must be (channels, rows, columns), got [3, 2, 2]",
        ),
        (lambda: linear_to_conv2d(nn.Linear(12, 2), (3, 2, 0)), ValueError, "size must be an integer >= 1, got 0"),
        (
            lambda: fully_convolutional(nn.Linear(2, 2), (1, 1, 1)),
            TypeError,
            "model must be an nn.Sequential, got Linear(",
        ),
        (
            lambda: fully_convolutional(small(), (14, 14)),
            ValueError,
            "size must be (channels, rows, columns), got (14, 14)",
        ),
        (
            lambda: fully_convolutional(nn.Sequential(nn.Conv2d(1, 1, 1)), (1, 1, 1)),
            ValueError,
            "model must have one nn.Flatten() with its usual axes, got 0",
        ),
        (
            lambda: fully_convolutional(nn.Sequential(nn.Flatten(2), nn.Linear(1, 1)), (1, 1, 1)),
            ValueError,
            "model must have one nn.Flatten() with its usual axes, got 0",
        ),
        (
            lambda: fully_convolutional(nn.Sequential(nn.Flatten(1, 2), nn.Linear(1, 1)), (1, 1, 1)),
            ValueError,
            "model must have one nn.Flatten() with its usual axes, got 0",
        ),
        (
            lambda: fully_convolutional(nn.Sequential(nn.Flatten(), nn.Flatten()), (1, 1, 1)),
            ValueError,
            "model must have one nn.Flatten() with its usual axes, got 2",
        ),
        (
            lambda: fully_convolutional(small(), (3, 3, 3)),
            ValueError,
            "size must be that of a window which model takes, got (3, 3, 3): ",
        ),
        (
            lambda: fully_convolutional(small(), (3, 16, 16)),
            ValueError,
            "size must hold linear's 400 inputs, got (16, 6, 6) with 576",
        ),
        (
            lambda: fully_convolutional(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Softmax(1)), (1, 2, 2)),
            ValueError,
            "model must have only linear layers and activations behind its Flatten, got Softmax",
        ),
        (
            lambda: fully_convolutional(
                nn.Sequential(nn.AvgPool2d(4), nn.Flatten(2), nn.Flatten(), nn.Linear(1, 1)), (1, 4, 4)
            ),
            ValueError,
            "model must have one nn.Flatten() with its usual axes, got 1",
        ),
        (
            lambda: fully_convolutional(
                nn.Sequential(nn.Unflatten(2, (2, 2)), nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4)
            ),
            ValueError,
            "model must give maps in front of its Flatten, got the shape (1, 2, 2, 4)",
        ),
        (
            lambda: sliding_windows(torch.zeros(1, 3, 4, 4), 5),
            ValueError,
            "size must be at most the picture's 4 x 4, got 5 x 5",
        ),
        (
            lambda: sliding_windows(torch.zeros(1, 3, 4, 4), (4, 5)),
            ValueError,
            "size must be at most the picture's 4 x 4, got 4 x 5",
        ),
        (
            lambda: sliding_windows(torch.zeros(1, 3, 4, 4), (5, 4)),
            ValueError,
            "size must be at most the picture's 4 x 4, got 5 x 4",
        ),
        (lambda: sliding_windows(torch.zeros(3, 4, 4), 2), ValueError, "x must have shape (B, C, H, W), got"),
        (lambda: sliding_windows(torch.zeros(1, 3, 4, 4), 0), ValueError, "size must be an integer >= 1, got 0"),
        (lambda: sliding_windows(torch.zeros(1, 3, 4, 4), 2, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (
            lambda: window_boxes(torch.zeros(1, 3, 2, 2), 8, 4),
            ValueError,
            "boxes must have shape (B, four=4, R, S), got",
        ),
        (lambda: window_boxes(torch.zeros(1, 4, 2, 2), 0, 4), ValueError, "size must be an integer >= 1, got 0"),
        (lambda: window_boxes(torch.zeros(1, 4, 2, 2), 8, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (
            lambda: window_boxes(torch.zeros(1, 4, 2, 2), 8, 4, zoom=0.0),
            ValueError,
            "zoom must be a number in (0, inf), got 0.0",
        ),
    ],
)
def test_what_cannot_be_slid_is_refused(refuses, call, error, message):
    refuses(call, (), error, message)


# ------------------------------------------------------------------------------------------------ windows


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_windows_are_crops(rows, columns, height, width, stride):
    height, width = min(height, rows), min(width, columns)
    x = torch.rand(2, 3, rows, columns)
    found = sliding_windows(x, (height, width), stride)
    assert found.shape == (2, (rows - height) // stride + 1, (columns - width) // stride + 1, 3, height, width)
    for i in range(found.shape[1]):
        for j in range(found.shape[2]):
            crop = x[:, :, i * stride : i * stride + height, j * stride : j * stride + width]
            assert torch.equal(found[:, i, j], crop)
    assert found.data_ptr() == x.data_ptr(), "no copy"


@pytest.mark.parametrize("layer", [nn.AdaptiveAvgPool2d(2), nn.GroupNorm(1, 4), nn.InstanceNorm2d(4)])
def test_layers_that_look_at_the_whole_map_are_refused(refuses, layer):
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3), layer)
    model = nn.Sequential(trunk, nn.Flatten(), nn.Linear(16, 2))
    message = "model must have no layer in front of its Flatten that looks at the whole map, got "
    message += type(layer).__name__
    refuses(fully_convolutional, (model, (3, 4, 4)), ValueError, message)


@pytest.mark.usefixtures("unchecked")
def test_numpys_numbers_are_sizes_too():
    x = torch.zeros(1, 1, 5, 4)
    assert sliding_windows(x, np.int64(3), np.int64(2)).shape == (1, 2, 1, 1, 3, 3)


def test_windows_have_stride_one_by_default():
    assert sliding_windows(torch.zeros(1, 1, 5, 4), 3).shape == (1, 3, 2, 1, 3, 3)


@pytest.mark.verifies("eq-window-boxes")
@given(st.floats(0.25, 4), st.integers(1, 6), st.integers(8, 40))
def test_boxes_come_back_to_the_picture(zoom, stride, size):
    """A box of the picture, written in the unit of a window of the zoomed picture, comes out again."""
    rows, columns = 3, 5
    wanted = torch.tensor([3.0, 2.0, 11.0, 8.0], dtype=torch.float64)
    given = torch.empty(1, 4, rows, columns, dtype=torch.float64)
    for i in range(rows):
        for j in range(columns):
            corner = torch.tensor([j, i, j, i]) * stride
            left, top, right, bottom = (wanted * zoom - corner) / size
            given[0, :, i, j] = torch.stack(((left + right) / 2, (top + bottom) / 2, right - left, bottom - top))
    found = window_boxes(given, size, stride, zoom=zoom)
    assert found.shape == (1, rows, columns, 4)
    torch.testing.assert_close(found, wanted.expand_as(found), rtol=0, atol=1e-9)


def test_boxes_are_not_zoomed_by_default():
    given = torch.full((1, 4, 1, 2), 0.5)
    assert window_boxes(given, 8, 3).tolist() == [[[[2, 2, 6, 6], [5, 2, 9, 6]]]]
