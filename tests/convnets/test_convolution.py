"""Mirrors dlref/convnets/convolution.py, and _correlation.py, _flat.py, _pooling.py, _windows.py behind it."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import signal
from torch import nn
from torch.nn import functional as F

from dlref.convnets import (
    AvgPool2d,
    Conv2d,
    MaxPool2d,
    avg_pool2d,
    conv2d,
    max_pool2d,
    output_size,
    receptive_field,
    toeplitz,
)
from dlref.convnets._correlation import correlate, paint
from dlref.convnets._windows import Geometry

DOUBLE = torch.float64
X, W = torch.zeros(2, 4, 6, 7), torch.zeros(6, 4, 3, 2)


def rand(*shape, dtype=DOUBLE):
    return torch.randn(shape, dtype=dtype, requires_grad=True)


def loops(x, weight, bias, stride, padding, dilation, groups):
    """The formula, one multiplication at a time."""
    (B, _C, H, W), (O, Cg, K, L) = x.shape, weight.shape
    (s, t), (r, u), (d, e) = stride, padding, dilation
    P, Q = (H + 2 * r - d * (K - 1) - 1) // s + 1, (W + 2 * u - e * (L - 1) - 1) // t + 1
    y = torch.zeros(B, O, P, Q, dtype=x.dtype)
    for b, o, p, q in product(*map(range, y.shape)):
        y[b, o, p, q] = bias[o]
        for c, k, m in product(range(Cg), range(K), range(L)):
            i, j = s * p + d * k - r, t * q + e * m - u
            if 0 <= i < H and 0 <= j < W:
                y[b, o, p, q] += weight[o, c, k, m] * x[b, o // (O // groups) * Cg + c, i, j]
    return y


# Every case has H != W, K != L and another value on each axis, so that a swap shows.
CASES = {
    "plain": ((3, 9, 12), (4, 3, 3, 2), {}),
    "stride": ((3, 9, 12), (4, 3, 3, 2), {"stride": (2, 3)}),
    "padding": ((3, 9, 12), (4, 3, 3, 2), {"padding": (0, 2)}),
    "dilation": ((3, 9, 12), (4, 3, 3, 2), {"dilation": (1, 3)}),
    "groups": ((4, 9, 12), (6, 2, 3, 2), {"groups": 2}),
    "depthwise": ((4, 9, 12), (4, 1, 3, 2), {"groups": 4, "padding": (1, 0)}),
    "two maps a channel": ((4, 9, 12), (8, 1, 3, 2), {"groups": 4, "stride": (2, 1)}),
    "one channel": ((1, 9, 12), (5, 1, 3, 2), {"dilation": (2, 1)}),
    "all": ((4, 9, 12), (6, 2, 3, 2), {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 3), "groups": 2}),
    "one pixel out": ((3, 3, 2), (4, 3, 3, 2), {}),
    "same": ((3, 9, 12), (4, 3, 3, 2), {"padding": "same", "dilation": (1, 3)}),
    "same, even": ((3, 5, 7), (4, 3, 4, 2), {"padding": "same"}),
    "valid": ((3, 9, 12), (4, 3, 3, 2), {"padding": "valid"}),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch copies its input then
@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_same_values_and_gradients_as_torch(same, case, dtype):
    image, kernel, settings = CASES[case]
    inputs = rand(2, *image, dtype=dtype), rand(*kernel, dtype=dtype), rand(kernel[0], dtype=dtype)
    same(conv2d(*inputs, **settings), F.conv2d(*inputs, **settings), inputs)


@given(st.data())
def test_drawn_convolutions_are_torchs_and_the_formulas(same, close, data):
    draw = data.draw
    groups = draw(st.integers(1, 3))
    C, O = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    image = draw(st.tuples(st.integers(1, 2), st.just(C), st.integers(1, 7), st.integers(1, 7)))
    kernel = (O, C // groups, draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    settings = {name: draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for name in ("stride", "dilation")}
    settings |= {"padding": draw(st.tuples(st.integers(0, 3), st.integers(0, 3))), "groups": groups}
    assume(
        all(
            d * (k - 1) < n + 2 * p
            for n, k, d, p in zip(image[2:], kernel[2:], settings["dilation"], settings["padding"], strict=True)
        )
    )
    inputs = rand(*image), rand(*kernel), rand(O)
    ours = conv2d(*inputs, **settings)
    with torch.no_grad():
        close(ours.detach(), loops(*inputs, **settings))
    same(ours, F.conv2d(*inputs, **settings), inputs)


@pytest.mark.parametrize("case", ["all", "two maps a channel"])
def test_can_be_differentiated_twice(case):
    image, kernel, settings = CASES[case]
    x, w = rand(1, image[0], 6, 7), rand(*kernel)
    assert torch.autograd.gradgradcheck(lambda x, w: conv2d(x, w, **settings), (x, w))


def test_only_what_is_asked_for_gets_a_gradient():
    x, w = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 2, 2)
    for index in (0, 1):
        inputs = [x.clone(), w.clone()]
        inputs[index].requires_grad_()
        conv2d(*inputs).sum().backward()
        assert inputs[index].grad.any()
        assert inputs[1 - index].grad is None


@pytest.mark.verifies("eq-convolution")
def test_single_image_of_one_channel_is_scipys_correlation(close):
    x, w = rand(1, 1, 6, 7).detach(), rand(1, 1, 3, 2).detach()
    close(conv2d(x, w)[0, 0].numpy(), signal.correlate2d(x[0, 0], w[0, 0], mode="valid"))
    close(conv2d(x, w.flip(2, 3))[0, 0].numpy(), signal.convolve2d(x[0, 0], w[0, 0], mode="valid"))


def test_unit_pixel_gives_the_kernel_turned_round(close):
    x, w = torch.zeros(1, 1, 5, 6, dtype=DOUBLE), rand(1, 1, 3, 2)
    x[0, 0, 2, 3] = 1
    close(conv2d(x, w)[0, 0, 0:3, 2:4], w[0, 0].flip(0, 1))


@pytest.mark.verifies("eq-shift")
def test_shifting_the_image_shifts_the_output(close):
    x, w = rand(1, 3, 9, 12), rand(4, 3, 3, 2)
    close(conv2d(x.roll((1, 2), (2, 3)), w)[..., 1:, 2:], conv2d(x, w)[..., :-1, :-2])


def test_shapes_of_the_notes():
    assert conv2d(torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 3, 3)).shape == (1, 1, 4, 4)
    layer = Conv2d(3, 10, 3)
    assert layer(torch.zeros(2, 3, 6, 6)).shape == (2, 10, 4, 4)
    assert sum(p.numel() for p in layer.parameters()) == 280


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": (3, 2), "groups": 2, "padding": (1, 0), "stride": (1, 2)},
        {"kernel_size": 2, "dilation": (2, 3), "bias": False},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 1, "stride": 2},
    ],
    ids=str,
)
def test_layer_exchanges_weights_with_torch(same, settings):
    theirs = nn.Conv2d(4, 6, **settings).double()
    ours = Conv2d(4, 6, **settings).double()
    ours.load_state_dict(theirs.state_dict())
    x = rand(2, 4, 9, 12)
    same(ours(x), theirs(x), (x,))


def test_layer_begins_as_torchs():
    settings = {"in_channels": 16, "out_channels": 64, "kernel_size": (3, 5), "groups": 2}
    torch.manual_seed(1)
    ours = Conv2d(**settings)
    torch.manual_seed(1)
    theirs = nn.Conv2d(**settings)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    assert ours.weight.requires_grad
    assert Conv2d(1, 1, 1, bias=False).bias is None


@pytest.mark.verifies("eq-output-size", "eq-padding")
@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
@example(6, 3, 1, 0, 1)
def test_output_size_counts_positions(n, k, s, p, d):
    starts = [i for i in range(-p, n + p) if i + d * (k - 1) < n + p and (i + p) % s == 0]
    assume(starts)
    assert output_size(n, k, s, p, d) == len(starts)
    if d == s == 1:
        assert output_size(n, k, padding=p) == n + 2 * p - k + 1
        assert k % 2 == 0 or output_size(n, k, padding=(k - 1) // 2) == n


POOLS = {
    "square": {"kernel_size": 2},
    "oblong": {"kernel_size": (3, 2)},
    "overlapping": {"kernel_size": (3, 2), "stride": (2, 1)},
    "padded": {"kernel_size": (3, 2), "stride": 1, "padding": (1, 0)},
    "padded by half": {"kernel_size": (2, 1), "stride": 1, "padding": (1, 0)},
    "padded sideways": {"kernel_size": (2, 3), "stride": (1, 3), "padding": (0, 1)},
    "dilated": {"kernel_size": (2, 3), "stride": (1, 2), "dilation": (3, 2)},
}


@pytest.mark.verifies("eq-max-pool")
@pytest.mark.parametrize("case", POOLS)
def test_max_pooling_is_torchs_also_where_several_are_largest(same, case):
    for x in (rand(2, 3, 9, 12), torch.randint(3, (2, 3, 9, 12)).double().requires_grad_()):
        same(max_pool2d(x, **POOLS[case]), F.max_pool2d(x, **POOLS[case]), (x,))


@pytest.mark.parametrize("case", [name for name in POOLS if name != "dilated"])
def test_average_pooling_is_torchs(same, case):
    x = rand(2, 3, 9, 12)
    same(avg_pool2d(x, **POOLS[case]), F.avg_pool2d(x, **POOLS[case]), (x,))


@pytest.mark.parametrize("function", ["max", "average", "average without padding"])
@given(st.data())
def test_drawn_poolings_are_torchs(same, function, data):
    """With windows that begin on the image and end beyond it."""
    draw = data.draw
    kernel, stride = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    gaps = draw(st.tuples(st.integers(1, 2), st.integers(1, 2))) if function == "max" else (1, 1)
    H, W = (
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 9)) for k, p, d in zip(kernel, padding, gaps, strict=True)
    )
    x = rand(2, 2, H, W)
    settings = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    if function == "max":
        settings["dilation"] = gaps
        ours, theirs, layers = max_pool2d, F.max_pool2d, (MaxPool2d, nn.MaxPool2d)
    else:
        settings["count_include_pad"] = function == "average"
        ours, theirs, layers = avg_pool2d, F.avg_pool2d, (AvgPool2d, nn.AvgPool2d)
    # torch writes where it must not if a window holds no pixel at all
    assume(ours(x, **settings).isfinite().all())
    same(ours(x, **settings), theirs(x, **settings), (x,))
    same(layers[0](**settings)(x), layers[1](**settings)(x), (x,))


def test_layers_of_pooling():
    for ours, theirs, settings in (
        (MaxPool2d, nn.MaxPool2d, (2,)), (MaxPool2d, nn.MaxPool2d, ((3, 2), 1, (1, 0), 2, False, True)),
        (AvgPool2d, nn.AvgPool2d, (2,)), (AvgPool2d, nn.AvgPool2d, ((3, 2), 1, (1, 0), True, False, 5)),
    ):  # fmt: skip
        layer, twin = ours(*settings), theirs(*settings)
        assert repr(layer) == repr(twin)
        x = torch.randn(1, 2, 7, 6)
        torch.testing.assert_close(layer(x), twin(x))
        assert isinstance(layer, theirs), "so that tools which look for torch's layer find it"


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=str)
def test_largest_of_nothing_but_infinity_or_none(same, dtype):
    """The gradient goes to the first pixel on the image, or the last that is no number; the definition agrees."""
    x = torch.full((1, 1, 4, 4), -torch.inf, dtype=dtype, requires_grad=True)
    nans = torch.randn(1, 1, 4, 4, dtype=dtype)
    nans[0, 0, 0, :2] = nans[0, 0, 1, 0] = nans[0, 0, 3, 3] = torch.nan
    for image in (x, nans.requires_grad_()):
        for settings in (
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 1},
        ):
            y, want = max_pool2d(image, **settings), F.max_pool2d(image, **settings)
            torch.testing.assert_close(y, want, equal_nan=True)
            g = torch.randn_like(want)
            expected = torch.autograd.grad(want, image, g)[0]
            torch.testing.assert_close(torch.autograd.grad(y, image, g, create_graph=True)[0], expected)
            torch.testing.assert_close(torch.autograd.grad(max_pool2d(image, **settings), image, g)[0], expected)


def test_windows_larger_than_the_image_where_the_last_may_reach_beyond():
    x = torch.randn(1, 1, 2, 2)
    torch.testing.assert_close(max_pool2d(x, 3, 2, ceil_mode=True), F.max_pool2d(x, 3, 2, ceil_mode=True))
    torch.testing.assert_close(avg_pool2d(x, 3, 2, ceil_mode=True), F.avg_pool2d(x, 3, 2, ceil_mode=True))
    with pytest.raises(ValueError, match=r"^kernel_size 4 with dilation 1 spans 4 pixels"):
        max_pool2d(x, 4, 1, ceil_mode=True)


@pytest.mark.parametrize("size", [17, 16])
def test_windows_of_more_than_255_pixels_remember_the_largest(same, size):
    x = rand(1, 2, 20, 20)
    same(max_pool2d(x, size, 3), F.max_pool2d(x, size, 3), (x,))


def test_gradient_of_pooling_may_be_infinite():
    x = torch.tensor([[[[1.0, 2.0], [0.0, 1.0]]]], requires_grad=True)
    max_pool2d(x, 2).backward(torch.tensor([[[[torch.inf]]]]))
    assert x.grad.flatten().tolist() == [0, torch.inf, 0, 0]


def test_layer_shows_its_settings_and_has_torchs_attributes():
    layer = Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2, bias=False)
    shown = "kernel_size=(3, 2), stride=(2, 2), padding=(1, 0), dilation=(1, 2), groups=2, bias=False"
    assert repr(layer) == f"Conv2d(4, 6, {shown})"
    assert repr(Conv2d(1, 2, 3, padding="same")) == repr(nn.Conv2d(1, 2, 3, padding="same"))
    theirs = nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2, bias=False)
    for name in (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
    ):
        assert getattr(layer, name) == getattr(theirs, name), name
    half = Conv2d(2, 3, 1, device="meta", dtype=torch.float64)
    assert half.weight.is_meta
    assert half.weight.dtype == half.bias.dtype == torch.float64
    before = (layer.weight.detach().clone(), Conv2d(1, 2, 3).weight)
    layer.reset_parameters()
    assert not torch.equal(layer.weight, before[0])


@pytest.mark.parametrize("call", [lambda x: conv2d(x, W), lambda x: max_pool2d(x, 2), lambda x: avg_pool2d(x, 2)])
def test_one_image_and_none(call):
    x = torch.randn(2, 4, 6, 7)
    torch.testing.assert_close(call(x[0]), call(x)[0])
    assert call(x[:0]).shape == (0, *call(x).shape[1:])


def test_many_images_are_pooled_in_several_chunks(same):
    x = torch.randn(40, 8, 64, 64, requires_grad=True)
    same(max_pool2d(x, 2), F.max_pool2d(x, 2), (x,))
    w = torch.randn(8, 1, 2, 3, requires_grad=True)
    same(conv2d(x, w, groups=8), F.conv2d(x, w, groups=8), (x, w))


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_add_up_over_several_chunks(same, groups):
    x, w = rand(12, 8, 64, 64), rand(4, 8 // groups, 3, 3)
    same(conv2d(x, w, groups=groups), F.conv2d(x, w, groups=groups), (x, w))


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_painting_is_the_adjoint_and_gives_the_gradients_that_are_asked_for(wanted, close):
    geometry = Geometry((2, 1), (1, 2), (0, 0), 2)
    x, y, w = torch.randn(2, 4, 7, 9, dtype=DOUBLE), torch.randn(2, 6, 3, 7, dtype=DOUBLE), rand(6, 2, 3, 2).detach()
    inputs = [t.requires_grad_(needed) for t, needed in zip((y, w), wanted, strict=True)]
    painted = paint(*inputs, size=(7, 9), geometry=geometry)
    close((painted * x).sum(), (correlate(x, w, size=(3, 7), geometry=geometry) * y).sum())
    (painted * x).sum().backward()
    expected = correlate(x, w.detach(), size=(3, 7), geometry=geometry) if wanted[0] else None
    assert [t.grad is not None for t in inputs] == list(wanted)
    if wanted[0]:
        close(y.grad, expected)
    else:
        close((w.grad * w.detach()).sum(), (painted * x).sum().detach())


def test_pooling_lets_nan_and_infinity_through():
    x = torch.tensor([[[[1.0, torch.nan], [2.0, 0.0]]]])
    assert max_pool2d(x, 2).isnan().all()
    assert max_pool2d(torch.full((1, 1, 2, 2), -torch.inf), 2).item() == -np.inf


@pytest.mark.verifies("eq-commute")
def test_relu_and_max_pooling_commute_and_average_pooling_does_not():
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(max_pool2d(x.relu(), 2), max_pool2d(x, 2).relu())
    assert not torch.equal(avg_pool2d(x.relu(), 2), avg_pool2d(x, 2).relu())


LAYERS = [[(3, 1, 1)] * 3, [(3, 2, 1), (2, 2, 1), (3, 1, 2)], [(5, 1, 2), (1, 3, 1), (2, 1, 1)]]


@pytest.mark.verifies("eq-receptive-field")
@pytest.mark.parametrize(
    "layers", [[(3, 1, 1)] * 3, [(3, 2, 1), (2, 2, 1), (3, 1, 2)], [(5, 1, 2), (1, 3, 1), (2, 1, 1)]]
)
def test_receptive_field_is_where_the_gradient_is(layers):
    for count in range(1, len(layers) + 1):
        x = torch.zeros(1, 1, 1, 80, requires_grad=True)
        h = x
        for k, s, d in layers[:count]:
            h = F.conv2d(h, torch.ones(1, 1, 1, k), stride=(1, s), dilation=(1, d))
        h[0, 0, 0, h.shape[3] // 2].backward()
        seen = x.grad.flatten().nonzero()
        assert receptive_field(layers)[count - 1] == seen.max() - seen.min() + 1
    assert receptive_field([]) == []


@pytest.mark.verifies("eq-toeplitz")
@pytest.mark.parametrize("stride", [1, (2, 1), (1, 3)])
def test_toeplitz_is_the_matrix_of_the_convolution(stride, close):
    x, w = torch.randn(2, 3, 5, 7, dtype=DOUBLE), torch.randn(4, 3, 2, 3, dtype=DOUBLE)
    T = toeplitz(w, (5, 7), stride)
    close((x.flatten(1) @ T.T), F.conv2d(x, w, stride=stride).flatten(1))
    assert T.dtype == DOUBLE
    assert set(T.flatten().tolist()) <= {0.0, *w.flatten().tolist()}
    assert torch.equal(toeplitz(torch.ones(1, 1, 2, 2), (3, 3)), toeplitz(torch.ones(1, 1, 2, 2), (3, 3), 1))


@pytest.mark.verifies("eq-weight-sharing")
def test_weights_of_the_notes():
    T = toeplitz(torch.randn(1, 1, 5, 5), (32, 32))
    assert T.numel() == 32**2 * 28**2 == 802_816
    assert (T != 0).sum() == 28**2 * 25
    assert Conv2d(1, 6, 5, bias=False).weight.numel() == 150


@pytest.mark.verifies("eq-small-cnn")
def test_parameters_of_the_small_network_layer_by_layer():
    model = nn.Sequential(
        Conv2d(3, 8, 5), nn.MaxPool2d(2), Conv2d(8, 16, 5), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10),
    )  # fmt: skip
    counts = [sum(p.numel() for p in layer.parameters()) for layer in model]
    assert [count for count in counts if count] == [608, 3216, 48_120, 10_164, 850]
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (conv2d, (X[0, 0], W), ValueError, "x must have shape (B, C, H, W), got"),
        (conv2d, (X.int(), W), TypeError, "x must hold floating-point numbers, got"),
        (conv2d, (X, W[0]), ValueError, "weight must have shape (O, Cg, K, L), got"),
        (conv2d, (X, W.double()), TypeError, "weight must be of x's type torch.float32, got torch.float64"),
        (conv2d, (X, W[:, :3]), ValueError, "weight must have shape (multiple of groups, C / groups, K, L) for 4 chan"),
        (conv2d, (X, W[:, :2], None, 1, 0, 1, 3), ValueError, "weight must have shape (multiple of groups, C / groups"),
        (conv2d, (X, W[:5, :2], None, 1, 0, 1, 2), ValueError, "weight must have shape (multiple of groups, C / group"),
        (conv2d, (X, W, None, 1, 0, 1, 0), ValueError, "groups must be an integer >= 1, got 0"),
        (conv2d, (X, W, torch.zeros(5)), ValueError, "bias must have shape (O=6), got"),
        (conv2d, (X, W, None, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (conv2d, (X, W, None, (1, 2, 3)), ValueError, "stride must be one integer or two, got (1, 2, 3) (tuple)"),
        (conv2d, (X, W, None, 1, -1), ValueError, "padding must be an integer >= 0, got -1"),
        (conv2d, (X, W, None, 1, (0, 1.5)), TypeError, "padding must be an integer >= 0, got 1.5 (float)"),
        (conv2d, (X, W, None, 1, "full"), ValueError, "padding must be one of 'same', 'valid', got 'full'"),
        (conv2d, (X, W, None, 2, "same"), ValueError, "padding 'same' needs stride 1, got (2, 2)"),
        (conv2d, (X, W, None, 1, 0, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (conv2d, (X, W, None, 1, 0, 3), ValueError, "kernel_size 3 with dilation 3 spans 7 pixels, the padded"),
        (conv2d, (X, W, None, 1, 0, (1, 7)), ValueError, "kernel_size 2 with dilation 7 spans 8 pixels, the padded im"),
        (Conv2d, (4, 6, 3, 1, 0, 1, 4), ValueError, "out_channels must be a multiple of groups 4, got 6"),
        (Conv2d, (3, 6, 3, 1, 0, 1, 2), ValueError, "in_channels must be a multiple of groups 2, got 3"),
        (Conv2d, (4, 6, 3, 1, 0, 1, 0), ValueError, "groups must be an integer >= 1, got 0"),
        (Conv2d, (0, 6, 3), ValueError, "in_channels must be an integer >= 1, got 0"),
        (Conv2d, (1, 6, 0), ValueError, "kernel_size must be an integer >= 1, got 0"),
        (Conv2d, (1, 6, 3, 2, "same"), ValueError, "padding 'same' needs stride 1, got (2, 2)"),
        (Conv2d, (1, 6, 3, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (Conv2d, (1, 6, 3, 1, 0, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (Conv2d, (1, 6, 3, 1, 0, 1, 1, True, "reflect"), ValueError, "padding_mode must be one of 'zeros', got 'refl"),
        (MaxPool2d, (2, 2, 0, 1, True), ValueError, "return_indices must be one of False, got True (bool)"),
        (avg_pool2d, (X, 2, None, 0, False, True, 0), ValueError, "divisor_override must be an integer >= 1, got 0"),
        (conv2d, (X[:, :, :0], W), ValueError, "x must hold pixels, got torch.float32 tensor of shape (2, 4, 0, 7)"),
        (max_pool2d, (X[:, :0], 2), ValueError, "x must hold pixels, got"),
        (avg_pool2d, (3, 2), TypeError, "x must be a torch.Tensor of shape (B C H W), got 3 (int)"),
        (Conv2d, (1, 6, 3, 1, -2), ValueError, "padding must be an integer >= 0, got -2"),
        (output_size, (0, 3), ValueError, "size must be an integer >= 1, got 0"),
        (output_size, (4, 0), ValueError, "kernel_size must be an integer >= 1, got 0"),
        (output_size, (4, 2, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (output_size, (4, 2, 1, -1), ValueError, "padding must be an integer >= 0, got -1"),
        (output_size, (4, 2, 1, 0, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (output_size, (4, 7, 1, 1), ValueError, "kernel_size 7 with dilation 1 spans 7 pixels, the padded image has 6"),
        (output_size, (4, 5), ValueError, "kernel_size 5 with dilation 1 spans 5 pixels, the padded image has 4"),
        (output_size, (4, 2, 1, 0, 4), ValueError, "kernel_size 2 with dilation 4 spans 5 pixels, the padded image"),
        (max_pool2d, (X[0, 0], 2), ValueError, "x must have shape (B, C, H, W), got"),
        (max_pool2d, (X, 7), ValueError, "kernel_size 7 with dilation 1 spans 7 pixels, the padded"),
        (max_pool2d, (X, 3, 1, 2), ValueError, "padding must be at most half of kernel_size (3, 3), got (2, 2)"),
        (avg_pool2d, (X, (4, 3), 1, (2, 2)), ValueError, "padding must be at most half of kernel_size (4, 3)"),
        (max_pool2d, (X, 0), ValueError, "kernel_size must be an integer >= 1, got 0"),
        (max_pool2d, (X, 2, 1, -1), ValueError, "padding must be an integer >= 0, got -1"),
        (max_pool2d, (X, 2, 1, 0, 0), ValueError, "dilation must be an integer >= 1, got 0"),
        (avg_pool2d, (X, 2, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (receptive_field, ([(3, 1, 0)],), ValueError, "layers must be an integer >= 1, got 0"),
        (receptive_field, ([(3, 1)],), ValueError, "layers must hold (kernel size, stride, dilation), got (3, 1)"),
        (toeplitz, (W[0], (3, 3)), ValueError, "weight must have shape (O, C, K, L), got"),
        (toeplitz, (W, (2, 3)), ValueError, "kernel_size 3 with dilation 1 spans 3 pixels, the padded image has 2"),
        (toeplitz, (W, (3, 3), 0), ValueError, "stride must be an integer >= 1, got 0"),
        (toeplitz, (W, (3, 0)), ValueError, "size must be an integer >= 1, got 0"),
    ],
)  # fmt: skip
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)
