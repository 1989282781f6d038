"""Mirrors dlref/convnets/convolution_variants.py."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.convnets import (
    Conv2d,
    ConvTranspose2d,
    DepthwiseSeparable,
    Upsample,
    conv2d,
    conv_transpose2d,
    interpolate,
    interpolation_matrix,
    overlap_count,
    receptive_field,
)

DOUBLE = torch.float64


def rand(*shape, dtype=DOUBLE):
    return torch.randn(shape, dtype=dtype, requires_grad=True)


CASES = {
    "plain": ((3, 5, 4), (3, 4, 3, 2), {}),
    "stride": ((3, 5, 4), (3, 4, 3, 2), {"stride": (2, 3)}),
    "padding": ((3, 5, 4), (3, 4, 3, 2), {"padding": (0, 1)}),
    "output padding": ((3, 5, 4), (3, 4, 3, 2), {"stride": (2, 3), "output_padding": (1, 2)}),
    "dilation": ((3, 5, 4), (3, 4, 3, 2), {"dilation": (1, 3), "output_padding": (0, 2)}),
    "groups": ((4, 5, 6), (4, 3, 3, 2), {"groups": 2}),
    "depthwise": ((4, 5, 6), (4, 1, 3, 2), {"groups": 4, "stride": (2, 1)}),
    "two maps a channel": ((4, 5, 6), (4, 2, 3, 2), {"groups": 4, "padding": (1, 0)}),
    "all": (
        (4, 5, 6),
        (4, 3, 3, 2),
        {"stride": (2, 1), "padding": (1, 2), "output_padding": 1, "dilation": (2, 3), "groups": 2},
    ),
    "one pixel in": ((3, 1, 1), (3, 4, 3, 2), {"stride": 2}),
}


@pytest.mark.verifies("eq-transposed")
@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_same_values_and_gradients_as_torch(same, case, dtype):
    image, kernel, settings = CASES[case]
    out = kernel[1] * settings.get("groups", 1)
    inputs = rand(2, *image, dtype=dtype), rand(*kernel, dtype=dtype), rand(out, dtype=dtype)
    same(conv_transpose2d(*inputs, **settings), F.conv_transpose2d(*inputs, **settings), inputs)


@given(st.data())
def test_drawn_transposed_convolutions_are_torchs(same, data):
    draw = data.draw
    groups = draw(st.integers(1, 3))
    image = (1, groups * draw(st.integers(1, 2)), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    kernel = (image[1], draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    settings = {name: draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for name in ("stride", "dilation")}
    settings |= {"padding": draw(st.tuples(st.integers(0, 2), st.integers(0, 2))), "groups": groups}
    most = [max(s, d) - 1 for s, d in zip(settings["stride"], settings["dilation"], strict=True)]
    settings["output_padding"] = tuple(draw(st.integers(0, m)) for m in most)
    sizes = zip(
        image[2:], kernel[2:], *(settings[k] for k in ("stride", "dilation", "padding", "output_padding")), strict=False
    )
    assume(all((n - 1) * s + d * (k - 1) + 1 + m > 2 * r for n, k, s, d, r, m in sizes))
    inputs = rand(*image), rand(*kernel)
    same(conv_transpose2d(*inputs, **settings), F.conv_transpose2d(inputs[0], inputs[1], None, **settings), inputs)


def test_can_be_differentiated_twice():
    settings = {"stride": (2, 1), "padding": (1, 0), "groups": 2}
    assert torch.autograd.gradgradcheck(
        lambda x, w: conv_transpose2d(x, w, **settings), (rand(1, 4, 2, 3), rand(4, 2, 3, 2))
    )


@pytest.mark.verifies("eq-adjoint")
def test_it_is_the_transpose_of_the_convolution(close):
    x, w, y = rand(2, 3, 7, 9), rand(4, 3, 3, 2), rand(2, 4, 3, 8)
    settings = {"stride": (2, 1)}
    close((conv2d(x, w, **settings) * y).sum(), (x * conv_transpose2d(y, w, **settings)).sum())


@pytest.mark.verifies("eq-painting")
def test_worked_examples_of_the_notes():
    x, w = torch.tensor([[[[1.0, 4.0], [0.0, 2.0]]]]), torch.tensor([[[[2.0, 2.0], [1.0, 1.0]]]])
    assert conv_transpose2d(x, w)[0, 0].tolist() == [[2, 10, 8], [1, 9, 8], [0, 2, 2]]
    ones = torch.ones(1, 1, 2, 2)
    assert conv_transpose2d(ones, torch.ones(1, 1, 3, 3)).shape[2:] == (4, 4)
    assert conv_transpose2d(ones, torch.ones(1, 1, 3, 3), stride=2).shape[2:] == (5, 5)
    small = torch.tensor([[[[20.0, 45.0], [10.0, 43.0]]]])
    rows = [[20, 20, 45, 45]] * 2 + [[10, 10, 43, 43]] * 2
    assert interpolate(small, scale_factor=2.0)[0, 0].tolist() == rows


def test_zeros_between_and_a_turned_kernel_give_the_same(close):
    x, w = rand(1, 1, 3, 4), rand(1, 1, 3, 2)
    between = torch.zeros(1, 1, 5, 10, dtype=DOUBLE)
    between[..., ::2, ::3] = x
    turned = conv2d(F.pad(between, (1, 1, 2, 2)), w.flip(2, 3))
    close(conv_transpose2d(x, w, stride=(2, 3)), turned)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": (3, 2), "groups": 2, "stride": (2, 1), "padding": (1, 0), "output_padding": (1, 0)},
        {"kernel_size": 2, "dilation": (2, 3), "bias": False},
    ],
    ids=str,
)
def test_layer_is_torchs_with_its_weights(settings, close):
    torch.manual_seed(1)
    theirs = nn.ConvTranspose2d(4, 6, **settings)
    torch.manual_seed(1)
    ours = ConvTranspose2d(4, 6, **settings)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    x = rand(2, 4, 5, 7)
    ours, theirs = ours.double(), theirs.double()
    close(ours(x), theirs(x))


@pytest.mark.verifies("eq-bilinear", "eq-linear")
@pytest.mark.parametrize("align", [False, True])
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
def test_bilinear_is_torchs(same, align, H, W, P, Q):
    x = rand(1, 2, H, W)
    theirs = F.interpolate(x, size=(P, Q), mode="bilinear", align_corners=align)
    same(interpolate(x, (P, Q), mode="bilinear", align_corners=align), theirs, (x,))


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([0.5, 1.5, 2.0, 3.0, 2.7]))
def test_scale_factor_is_torchs(same, H, W, factor):
    assume(int(H * factor) and int(W * factor))
    x = rand(1, 2, H, W)
    for ours, mode in (({"mode": "bilinear"}, {"mode": "bilinear", "align_corners": False}), ({}, {})):
        theirs = F.interpolate(x, scale_factor=factor, **mode)
        same(interpolate(x, scale_factor=factor, **ours), theirs, (x,))


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 4, 8]))
def test_nearest_is_torchs(same, close, H, W, factor):
    x = rand(1, 2, H, W)
    for size in ((H * factor, W * factor), (8, 4)):  # places that float32, torch's type here, can hold
        same(interpolate(x, size), F.interpolate(x, size=size), (x,))
    x = x.detach().float()
    close(interpolate(x, 8), F.interpolate(x, size=8), rtol=0, atol=0)


def test_rows_of_the_matrix_sum_to_one_and_corners_stay(close):
    for n, m in ((3, 7), (7, 3), (1, 4), (4, 1), (5, 5)):
        for align in (False, True):
            for mode in ("linear", "nearest"):
                A = interpolation_matrix(n, m, mode, align)
                assert A.shape == (m, n)
                close(A.sum(1), torch.ones(m, dtype=DOUBLE))
                assert (A >= 0).all()
        if m > 1:
            corners = interpolation_matrix(n, m, align_corners=True)[[0, -1]]
            assert corners[0, 0] == corners[1, -1] == 1
    ramp = torch.arange(5.0, dtype=DOUBLE)
    close(interpolation_matrix(5, 9, align_corners=True) @ ramp, torch.arange(9.0, dtype=DOUBLE) / 2)


def test_one_pixel_is_taken_from_the_first_where_corners_are_aligned(close):
    close(interpolation_matrix(2, 4), interpolation_matrix(2, 4, align_corners=False))
    close(interpolation_matrix(4, 1, align_corners=True), torch.tensor([[1.0, 0, 0, 0]], dtype=DOUBLE))


@pytest.mark.verifies("eq-overlap")
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (4, 2), (3, 2), (3, 3), (5, 3), (3, 1)])
def test_inner_pixels_are_painted_equally_often_if_the_stride_divides_the_kernel(kernel, stride):
    counts = overlap_count(6, kernel, stride)
    assert counts.sum() == 36 * kernel**2
    inner = counts[kernel:-kernel, kernel:-kernel]
    assert (inner == inner[0, 0]).all() == (kernel % stride == 0)
    if kernel % stride == 0:
        assert inner[0, 0] == (kernel // stride) ** 2


@pytest.mark.verifies("eq-dilated-field")
def test_dilations_that_double_see_exponentially_far():
    for depth in range(1, 6):
        assert receptive_field([(3, 1, 2**i) for i in range(depth)])[-1] == 2 ** (depth + 1) - 1
        assert receptive_field([(3, 1, 1)] * depth)[-1] == 2 * depth + 1


@pytest.mark.verifies("eq-depthwise-cost")
def test_multiplications_of_the_notes_and_their_ratio():
    whole = 4 * 4 * 5 * 3 * 9
    apart = 4 * 4 * 3 * 9 + 4 * 4 * 5 * 3
    assert (whole, apart) == (2160, 432 + 240)
    assert apart / whole == pytest.approx(1 / 5 + 1 / 9, abs=1e-12)
    assert round(apart / whole, 3) == 0.311


@pytest.mark.verifies("eq-depthwise")
def test_separable_layer_is_a_convolution_of_products(close):
    layer = DepthwiseSeparable(3, 5, (3, 2), (2, 1), (1, 0)).double()
    x = rand(2, 3, 7, 8)
    depth, point = layer.depthwise.weight, layer.pointwise.weight
    bias = layer.pointwise.bias + point[:, :, 0, 0] @ layer.depthwise.bias
    whole = F.conv2d(x, point * depth.transpose(0, 1), bias, stride=(2, 1), padding=(1, 0))
    close(layer(x), whole)
    assert sum(p.numel() for p in DepthwiseSeparable(3, 5, 3, bias=False).parameters()) == 27 + 15
    assert layer.depthwise.bias is not None
    assert DepthwiseSeparable(3, 5, 3)(torch.zeros(1, 3, 4, 5)).shape == (1, 5, 2, 3)
    assert DepthwiseSeparable(3, 5, 3, padding="same")(torch.zeros(1, 3, 4, 5)).shape == (1, 5, 4, 5)


@pytest.mark.verifies("eq-pointwise")
def test_one_by_one_convolution_is_a_dense_layer_at_every_pixel(close):
    layer, x = Conv2d(4, 6, 1).double(), rand(2, 4, 5, 7)
    close(layer(x), F.linear(x.movedim(1, -1), layer.weight[:, :, 0, 0], layer.bias).movedim(-1, 1))


X, W = torch.zeros(2, 4, 3, 5), torch.zeros(4, 2, 3, 2)


@given(st.data())
def test_drawn_interpolations_are_torchs(same, data):
    """By a factor too, also where the size stays or doubles, which torch treats by rules of their own."""
    draw = data.draw
    x = rand(1, 2, draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    kind = draw(st.sampled_from([{}, {"mode": "bilinear"}, {"mode": "bilinear", "align_corners": True}]))
    if draw(st.booleans()):
        size = {"scale_factor": draw(st.tuples(*[st.sampled_from([1.0, 1.1, 1.5, 2.0, 2.1, 2.4, 3.0])] * 2))}
    else:
        size = {"size": draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))}
    theirs = F.interpolate(x, **size, **kind)
    same(interpolate(x, **size, **kind), theirs, (x,))
    same(Upsample(**size, **kind)(x), theirs, (x,))


def test_size_that_stays_takes_every_pixel_where_it_is():
    x = torch.tensor([[[[0.0, 1.0]]]])
    assert interpolate(x, scale_factor=1.1).flatten().tolist() == [0, 1]


def test_layers_show_their_settings():
    for settings in ({"scale_factor": 2.0}, {"size": (2, 3), "mode": "bilinear", "align_corners": True}):
        assert repr(Upsample(**settings)) == repr(nn.Upsample(**settings))
    with pytest.raises(ValueError, match=r"^output_size must be one of None, got"):
        ConvTranspose2d(1, 1, 2)(torch.zeros(1, 1, 2, 2), [4, 4])
    layer = ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2)
    assert repr(layer) == repr(nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2))
    assert layer.weight.shape == (4, 3, 3, 3)
    assert layer.in_channels == 4
    double = ConvTranspose2d(2, 3, 1, device="meta", dtype=torch.float64)
    assert double.bias.is_meta
    assert double.weight.dtype == torch.float64


def test_one_image_of_a_transposed_convolution():
    x, w = torch.randn(2, 3, 4, 5), torch.randn(3, 2, 3, 3)
    torch.testing.assert_close(conv_transpose2d(x[1], w), conv_transpose2d(x, w)[1])
    assert conv_transpose2d(x[:0], w).shape == (0, 2, 6, 7)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (conv_transpose2d, (X[0, 0], W), ValueError, "x must have shape (B, C, H, W), got"),
        (conv_transpose2d, (X, W[:3]), ValueError, "weight must have shape (C=4, Og, K, L), got"),
        (conv_transpose2d, (X, W.double()), TypeError, "weight must be of x's type torch.float32, got torch.float64"),
        (conv_transpose2d, (X, W, None, 1, 0, 0, 3), ValueError, "groups must divide the 4 channels of x, got 3"),
        (conv_transpose2d, (X, W, torch.zeros(2), 1, 0, 0, 2), ValueError, "bias must have shape (O=4), got"),
        (conv_transpose2d, (X, W, None, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (conv_transpose2d, (X, W, None, 1, -1), ValueError, "padding must be an integer >= 0, got -1"),
        (conv_transpose2d, (X, W, None, 1, (0, 3)), ValueError, "padding must leave something of an output of 6 pix"),
        (
            conv_transpose2d,
            (X, W, None, 2, 0, 2),
            ValueError,
            "output_padding must be less than stride 2 or",
        ),
        (conv_transpose2d, (X, W, None, 1, 0, 0, 1, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (ConvTranspose2d, (4, 6, 3, 1, 0, 0, 4), ValueError, "out_channels must be a multiple of groups 4, got 6"),
        (conv_transpose2d, (X, W, None, 1, 0, 0, 0), ValueError, "groups must be an integer >= 1, got 0"),
        (conv_transpose2d, (X, W, None, 1, 0, -1), ValueError, "output_padding must be an integer >= 0, got -1"),
        (ConvTranspose2d, (1, 6, 3, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (ConvTranspose2d, (1, 6, 3, 1, 0, 0, 1, True, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (ConvTranspose2d, (0, 6, 3), ValueError, "in_channels must be an integer >= 1, got 0"),
        (ConvTranspose2d, (1, 6, 3, 1, -1), ValueError, "padding must be an integer >= 0, got -1"),
        (ConvTranspose2d, (1, 6, 3, 1, 1, -1), ValueError, "output_padding must be an integer >= 0, got -1"),
        (overlap_count, (0, 3, 1), ValueError, "size must be an integer >= 1, got 0"),
        (overlap_count, (4, 0, 1), ValueError, "kernel_size must be an integer >= 1, got 0"),
        (overlap_count, (4, 3, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (interpolation_matrix, (0, 3), ValueError, "size must be an integer >= 1, got 0"),
        (interpolation_matrix, (3, 0), ValueError, "output_size must be an integer >= 1, got 0"),
        (interpolation_matrix, (3, 4, "cubic"), ValueError, "mode must be one of 'nearest', 'linear', got 'cubic'"),
        (interpolation_matrix, (3, 4, "linear", False, 0.0), ValueError, "scale must be a number in (0, inf), got 0.0"),
        (interpolate, (X[0], 4), ValueError, "x must have shape (B, C, H, W), got"),
        (interpolate, (X,), ValueError, "size or scale_factor must be given, and only one, got None and None"),
        (interpolate, (X, 4, 2.0), ValueError, "size or scale_factor must be given, and only one, got 4 and 2.0"),
        (interpolate, (X, 4, None, "linear"), ValueError, "mode must be one of 'nearest', 'bilinear', got 'linear'"),
        (interpolate, (X, None, 0.2), ValueError, "scale_factor must leave something of 3 x 5 pixels, got 0.2"),
        (interpolate, (X, None, -1.0), ValueError, "scale_factor must be"),
        (interpolate, (X, (4, 0)), ValueError, "size must be an integer >= 1, got 0"),
        (DepthwiseSeparable, (0, 4, 3), ValueError, "in_channels must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)
