"""Mirrors dlref/convnets/_windows.py; test_convolution.py and test_convolution_variants.py use it throughout."""

from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from dlref.convnets import _windows
from dlref.convnets._windows import Geometry, check_kernels, images, padding_of, painted_size, pair

SMALL = st.integers(1, 3)


def positions(size, kernel, step, around, gap):
    return (size + 2 * around - gap * (kernel - 1) - 1) // step + 1


# ------------------------------------------------------------------------------------------------ geometry


@given(st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.tuples(SMALL, SMALL), st.integers(0, 2), st.integers(1, 2))
def test_windows_are_those_of_unfold(kernel, stride, dilation, padding, groups):
    x = torch.rand(2, 4, 8, 9, dtype=torch.float64)
    geometry = Geometry(stride, dilation, (padding, padding + 1), groups)
    size = [positions(x.shape[2 + a], kernel[a], stride[a], padding + a, dilation[a]) for a in (0, 1)]
    assume(min(size) > 0)
    found = geometry.windows(x, kernel, size)
    assert found.shape == (2, groups, 4 // groups, *size, *kernel)
    unfolded = F.unfold(x, kernel, dilation, (padding, padding + 1), stride)
    wanted = unfolded.reshape(2, 4, *kernel, *size).permute(0, 1, 4, 5, 2, 3)
    assert torch.equal(found.flatten(1, 2), wanted)


def test_what_windows_see_of_an_image_by_hand():
    """Rows: two windows of 3, two apart, from -1 on. Columns: one of 2 pixels with a gap of 3, from -1 on."""
    geometry = Geometry(stride=(2, 1), dilation=(1, 3), padding=(1, 1))
    assert geometry.around((1, 1, 4, 7), (3, 2), (2, 1)) == [1, -4, 1, 0]
    assert geometry.around((1, 1, 3, 2), (3, 2), (2, 1)) == [1, 1, 1, 1]
    x = torch.arange(28.0).reshape(1, 1, 4, 7)
    padded = geometry.padded(x, (3, 2), (2, 1))
    assert padded.shape == (1, 1, 5, 4)
    assert torch.equal(padded[0, 0, 1:, 1:], x[0, 0, :, :3])
    assert not padded[0, 0, 0].any()
    assert not padded[0, 0, :, 0].any()


def test_pixels_beside_the_image_are_not_inside():
    x = torch.ones(1, 1, 3, 2)
    geometry = Geometry((1, 1), (1, 1), (1, 2))
    found = geometry.inside(x, (3, 3), (3, 4))
    for p, q, k, l in product(range(3), range(4), range(3), range(3)):
        assert found[p, q, k, l] == (0 <= p + k - 1 < 3 and 0 <= q + l - 2 < 2)
    places = Geometry((2, 1), (3, 1), (1, 0))._places(0, (2, 1), (3, 1), x.device)
    assert places.tolist() == [[-1, 2], [1, 4], [3, 6]]
    assert geometry.inside(x.to("meta"), (3, 3), (3, 4)).device.type == "meta"
    assert geometry._places(0, (3, 3), (3, 4), "meta").device.type == "meta"


# ------------------------------------------------------------------------------------------------ settings


def test_one_number_or_two():
    assert pair("stride", 2, 1) == pair("stride", (2,), 1) == pair("stride", [2, 2], 1) == (2, 2)
    assert pair("stride", (3, 0), 0) == (3, 0)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ((1, 2, 3), ValueError, "stride must be one integer or two, got (1, 2, 3) (tuple)"),
        ((), ValueError, "stride must be one integer or two, got () (tuple)"),
        (0, ValueError, "stride must be an integer >= 1, got 0"),
        ((1, 0), ValueError, "stride must be an integer >= 1, got 0"),
        ("2", TypeError, "stride must be an integer >= 1, got '2' (str)"),
    ],
)
def test_what_is_no_pair_is_refused(refuses, value, error, message):
    refuses(pair, ("stride", value, 1), error, message)


def test_zeros_around_an_image():
    """Left, right, top and bottom, as torch pads."""
    assert padding_of(2, (3, 3), (1, 1), (1, 1)) == (2, 2, 2, 2)
    assert padding_of((1, 3), (3, 3), (2, 2), (1, 1)) == (3, 3, 1, 1)
    assert padding_of("valid", (3, 3), (2, 2), (1, 1)) == (0, 0, 0, 0)
    assert padding_of("same", (4, 3), (1, 1), (1, 3)) == (3, 3, 1, 2)
    x = torch.rand(1, 1, 9, 9)
    for kernel, dilation in product(((5, 3), (3, 1)), ((1, 3), (2, 1))):
        weight = torch.rand(1, 1, *kernel)
        padded = F.pad(x, padding_of("same", kernel, (1, 1), dilation))
        torch.testing.assert_close(
            F.conv2d(padded, weight, dilation=dilation), F.conv2d(x, weight, padding="same", dilation=dilation)
        )


@pytest.mark.parametrize(
    ("padding", "stride", "error", "message"),
    [
        ("same", (1, 2), ValueError, "padding 'same' needs stride 1, got (1, 2)"),
        ("full", (1, 1), ValueError, "padding must be one of 'same', 'valid', got 'full' (str)"),
        (-1, (1, 1), ValueError, "padding must be an integer >= 0, got -1"),
        ((1, -1), (1, 1), ValueError, "padding must be an integer >= 0, got -1"),
    ],
)
def test_padding_that_is_none_is_refused(refuses, padding, stride, error, message):
    refuses(padding_of, (padding, (3, 3), stride, (1, 1)), error, message)


@given(st.integers(1, 5), st.integers(1, 4), SMALL, SMALL, st.integers(0, 3), st.integers(0, 2))
def test_painted_size_is_torchs(size, kernel, step, gap, around, more):
    assume(more < max(step, gap))
    assume((size - 1) * step + gap * (kernel - 1) + 1 + more > 2 * around)
    image, weight = torch.ones(1, 1, size, 1), torch.ones(1, 1, kernel, 1)
    settings = {"stride": (step, 1), "padding": (around, 0), "output_padding": (more, 0), "dilation": (gap, 1)}
    assert painted_size(size, kernel, step, gap, around, more) == F.conv_transpose2d(image, weight, **settings).shape[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 2, 2, 3, 0, 3), "output_padding must be less than stride 2 or dilation 3, got 3"),
        ((2, 2, 3, 2, 0, 3), "output_padding must be less than stride 3 or dilation 2, got 3"),
        ((1, 2, 1, 1, 1, 0), "padding must leave something of an output of 2 pixels, got 1"),
        ((1, 1, 3, 1, 2, 2), "padding must leave something of an output of 3 pixels, got 2"),
    ],
)
def test_what_cannot_be_painted_is_refused(refuses, arguments, message):
    refuses(painted_size, arguments, ValueError, message)
    assert painted_size(2, 2, 2, 3, 0, 2) == 8
    assert painted_size(2, 2, 3, 2, 0, 2) == 8
    assert painted_size(1, 3, 1, 1, 1, 0) == 1


def test_settings_of_layers():
    usual = {"in_channels": 4, "out_channels": 6, "groups": 2, "padding_mode": "zeros"}
    check_kernels(**usual, kernel_size=1, stride=(1, 2), padding=0, output_padding=(0, 1))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"in_channels": 3}, "in_channels must be a multiple of groups 2, got 3"),
        ({"out_channels": 5}, "out_channels must be a multiple of groups 2, got 5"),
        ({"in_channels": 0}, "in_channels must be an integer >= 1, got 0"),
        ({"out_channels": 0}, "out_channels must be an integer >= 1, got 0"),
        ({"groups": 0}, "groups must be an integer >= 1, got 0"),
        ({"padding_mode": "circular"}, "padding_mode must be one of 'zeros', got 'circular' (str)"),
        ({"kernel_size": 0}, "kernel_size must be an integer >= 1, got 0"),
        ({"stride": (1, 0)}, "stride must be an integer >= 1, got 0"),
        ({"output_padding": -1}, "output_padding must be an integer >= 0, got -1"),
        ({"padding": (0, -1)}, "padding must be an integer >= 0, got -1"),
    ],
)
def test_settings_that_no_layer_has_are_refused(refuses, changed, message):
    usual = {"in_channels": 4, "out_channels": 6, "groups": 2, "padding_mode": "zeros"}
    refuses(lambda: check_kernels(**(usual | changed)), (), ValueError, message)


# ------------------------------------------------------------------------------------------------ images


def test_images():
    x = torch.ones(2, 3, 4, 5)
    assert images(x) is x
    assert images(x, C=3) is x
    assert images(x[:0]).shape == (0, 3, 4, 5)


@pytest.mark.parametrize(
    ("x", "sizes", "error", "message"),
    [
        (torch.ones(2, 3, 4, 5), {"C": 2}, ValueError, "x must have shape (B, C=2, H, W), got torch.float32 tensor"),
        (torch.ones(2, 3, 0, 5), {}, ValueError, "x must hold pixels, got torch.float32 tensor of shape (2, 3, 0, 5)"),
        (torch.ones(2, 0, 4, 5), {}, ValueError, "x must hold pixels, got torch.float32 tensor of shape (2, 0, 4, 5)"),
        (torch.ones(3, 4, 5), {}, ValueError, "x must have shape (B, C, H, W), got torch.float32 tensor"),
        (torch.ones(2, 3, 4, 5).long(), {}, TypeError, "x must hold floating-point numbers, got torch.int64 tensor"),
    ],
)
def test_what_are_no_images_is_refused(refuses, x, sizes, error, message):
    refuses(lambda: images(x, **sizes), (), error, message)


def test_one_image_by_itself():
    def negative(x, factor, *, shift=0.0):
        """Turn it round."""
        assert x.ndim != 3
        return shift - factor * x

    either = _windows.also_unbatched(negative)
    x = torch.rand(2, 3, 4, 5)
    assert either.__doc__ == negative.__doc__
    assert torch.equal(either(x, 2.0, shift=1.0), 1 - 2 * x)
    assert torch.equal(either(x[0], 2.0, shift=1.0), 1 - 2 * x[0])
    assert either(torch.ones(2), 1.0).tolist() == [-1, -1]
