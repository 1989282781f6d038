"""Mirrors dlref/convnets/classic.py."""

import re
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.convnets import VGG, AlexNet, AlexNet2012, LeNet5, alexnet, alexnet_2012, classic, lenet5, vgg16, vgg19
from dlref.count import layer_table, weight_layers


def test_lenet5_is_the_sequence_of_its_table(close):
    model = lenet5().double()
    p = model.state_dict()
    x = torch.randn(3, 1, 28, 28, dtype=torch.float64)
    h = F.pad(x, (2, 2, 2, 2))
    h = torch.tanh(F.conv2d(h, p["features.0.weight"], p["features.0.bias"]))
    h = F.avg_pool2d(h, 2)
    h = torch.tanh(F.conv2d(h, p["features.3.weight"], p["features.3.bias"]))
    h = F.avg_pool2d(h, 2)
    h = torch.tanh(F.conv2d(h, p["features.6.weight"], p["features.6.bias"]))[:, :, 0, 0]
    h = torch.tanh(h @ p["classifier.0.weight"].T + p["classifier.0.bias"])
    close(model(x), h @ p["classifier.2.weight"].T + p["classifier.2.bias"])


@pytest.mark.verifies("eq-conv-parameters", "eq-lenet5-total")
def test_lenet5_has_61706_parameters_and_the_printed_shapes():
    rows = layer_table(lenet5(), (1, 28, 28))
    assert sum(row.parameters for row in rows) == 61_706 == sum(p.numel() for p in lenet5().parameters())
    counted = [row for row in rows if row.kind != "Tanh"]
    assert [(row.output, row.parameters) for row in counted] == [
        ((6, 28, 28), 156),
        ((6, 14, 14), 0),
        ((16, 10, 10), 2_416),
        ((16, 5, 5), 0),
        ((120, 1, 1), 48_120),
        ((84,), 10_164),
        ((10,), 850),
    ]
    for row in counted:
        if row.kind == "Conv2d":
            C = {6: 1, 16: 6, 120: 16}[row.output[0]]
            assert row.parameters == row.output[0] * (C * 5 * 5 + 1)


@pytest.mark.verifies("eq-multiplications")
def test_multiplications_are_those_of_the_loops():
    rows = {row.name: row.multiplications for row in layer_table(lenet5(), (1, 28, 28))}
    assert rows["features.0"] == 6 * 28 * 28 * 1 * 5 * 5
    assert rows["features.3"] == 16 * 10 * 10 * 6 * 5 * 5
    assert rows["features.6"] == 120 * 16 * 5 * 5
    assert rows["classifier.0"] == 120 * 84
    assert rows["features.2"] == rows["features.1"] == 0


def test_classes_and_activation_are_choices():
    model = LeNet5(3, activation=nn.ReLU)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == 4
    assert lenet5(7)(torch.zeros(1, 1, 28, 28)).shape == (1, 7)
    assert LeNet5().classifier[-1].out_features == 10
    assert lenet5().classifier[-1].out_features == 10


def test_one_batch_overfits():
    torch.manual_seed(0)
    model, x, y = lenet5(), torch.rand(16, 1, 28, 28), torch.arange(16) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(120):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
    assert (model(x).argmax(1) == y).all()


@pytest.mark.usefixtures("unchecked")
@given(st.lists(st.integers(1, 3) | st.just(28), min_size=0, max_size=5))
def test_any_input_but_28_by_28_in_one_channel_is_refused(shape):
    x = torch.zeros(shape)
    if len(shape) == 4 and shape[1:] == [1, 28, 28]:
        assert lenet5()(x).shape == (shape[0], 10)
    else:
        with pytest.raises(ValueError, match=r"^x must have shape \(B, C=1, H=28, W=28\), got torch.float32 tensor of"):
            lenet5()(x)


def large(make, *args):
    """A network without memory."""
    with torch.device("meta"):
        return make(*args)


@pytest.mark.parametrize(("name", "size"), [("alexnet", 70), ("vgg16", 40), ("vgg19", 33)])
def test_same_names_and_outputs_as_torchvision(name, size, twins):
    twins(getattr(classic, name), name, size)


@pytest.mark.parametrize(
    ("make", "parameters", "multiplications"),
    [
        (alexnet, 61_100_840, 714e6),
        (alexnet_2012, 60_965_224, 724e6),
        (vgg16, 138_357_544, 15.47e9),
        (vgg19, 143_667_240, 19.63e9),
    ],
)
def test_parameters_and_multiplications_are_the_published_ones(make, parameters, multiplications):
    rows = layer_table(large(make), (3, 224, 224))
    assert sum(row.parameters for row in rows) == parameters
    assert sum(row.multiplications for row in rows) == pytest.approx(multiplications, rel=0.005)
    assert rows[-1].output == (1000,)


@pytest.mark.verifies("eq-alexnet-halves")
def test_the_halves_of_alexnet_save_half_of_three_layers():
    rows = {row.name: row.parameters for row in layer_table(large(alexnet_2012), (3, 224, 224)) if row.parameters}
    convolutions = [rows[name] for name in rows if name.startswith("features")]
    assert convolutions == [34_944, 307_456, 885_120, 663_936, 442_624]
    uncut = 256 * (96 * 25 + 1), 384 * (384 * 9 + 1), 256 * (384 * 9 + 1)
    for whole, half, maps in zip(uncut, convolutions[1:2] + convolutions[3:], (256, 384, 256), strict=True):
        assert whole - maps == 2 * (half - maps)


def test_response_normalisation_is_the_papers():
    layers = [m for m in large(alexnet_2012).features if isinstance(m, nn.LocalResponseNorm)]
    x = 100 * torch.rand(2, 7, 3, 3)
    y = torch.empty_like(x)
    for i in range(7):
        window = x[:, max(0, i - 2) : i + 3].square().sum(1)
        y[:, i] = x[:, i] / (2 + 1e-4 * window) ** 0.75
    assert len(layers) == 2
    for layer in layers:
        torch.testing.assert_close(layer(x), y)


@pytest.mark.parametrize(("make", "widths"), [(alexnet, (64, 192, 256)), (alexnet_2012, (96, 256, 256))])
def test_alexnet_pools_to_27_13_and_6_pixels(make, widths):
    rows = layer_table(large(make), (3, 224, 224))
    assert rows[0].output == (widths[0], 55, 55)
    pools = [row.output for row in rows if row.kind == "MaxPool2d"]
    assert pools == [(n, size, size) for n, size in zip(widths, (27, 13, 6), strict=True)]
    first = large(make).features[0]
    assert first.padding == (2, 2)
    assert first.stride == (4, 4)


@pytest.mark.parametrize("make", [alexnet, alexnet_2012, vgg16, vgg19])
def test_rectifiers_need_no_memory_of_their_own(make):
    assert all(module.inplace for module in large(make).modules() if isinstance(module, nn.ReLU))


def test_vgg_halves_after_each_block_and_has_weights_in_so_many_layers():
    rows = layer_table(large(vgg16), (3, 224, 224))
    pools = [row.output for row in rows if row.kind == "MaxPool2d"]
    assert pools == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    assert len(weight_layers(large(vgg16))) == 16
    assert len(weight_layers(large(vgg19))) == 19
    assert len(weight_layers(large(VGG, (1, 1, 2, 2, 2), 10))) == 11
    assert [type(m).__name__ for m in large(vgg16).classifier][::3] == ["Linear", "Linear", "Linear"]


def test_other_classes_and_dropout():
    for make in (alexnet, alexnet_2012, vgg16, vgg19, partial(VGG, (1, 1, 1, 1, 1))):
        for arguments, classes, p in (((7, 0.25), 7, 0.25), ((), 1000, 0.5)):
            model = large(make, *arguments)
            assert model.classifier[-1].out_features == classes
            assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [p, p]
    for kind, make in ((AlexNet, alexnet), (AlexNet2012, alexnet_2012)):
        assert isinstance(large(make), kind)
        assert repr(large(kind)) == repr(large(make))


def test_weights_begin_as_he_has_it():
    model = VGG((1, 1, 1, 1, 1), 5)
    first, last = model.features[9], model.classifier[0]
    assert first.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)
    assert last.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not any(p.any() for name, p in model.named_parameters() if "bias" in name)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lenet5(0), ValueError, "num_classes must be an integer >= 1, got 0"),
        (lambda: LeNet5(2.5), TypeError, "num_classes must be an integer >= 1, got 2.5 (float)"),
        (
            lambda: lenet5()(torch.zeros(2, 1, 32, 32)),
            ValueError,
            "x must have shape (B, C=1, H=28, W=28), got torch.float32 tensor of shape (2, 1, 32, 32)",
        ),
        (lambda: lenet5()(torch.zeros(2, 28, 28)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (lambda: lenet5()(torch.zeros(2, 3, 28, 28)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (lambda: lenet5()(torch.zeros(2, 1, 27, 28)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (lambda: lenet5()(torch.zeros(2, 1, 28, 27)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (
            lambda: lenet5()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)),
            TypeError,
            "x must hold floating-point numbers, got torch.uint8 tensor of shape (2, 1, 28, 28)",
        ),
        (lambda: alexnet(0), ValueError, "num_classes must be an integer >= 1, got 0"),
        (lambda: alexnet_2012(dropout=1.5), ValueError, "dropout must be a number in [0, 1], got 1.5"),
        (lambda: VGG((1, 1, 1, 1)), ValueError, "blocks must be five numbers, got (1, 1, 1, 1) (tuple)"),
        (lambda: VGG((1, 1, 1, 1, 0)), ValueError, "blocks must be an integer >= 1, got 0"),
        (lambda: large(vgg16)(torch.zeros(1, 1, 224, 224)), ValueError, "x must have shape (B, C=3, H, W), got"),
        (lambda: large(alexnet)(torch.zeros(1, 1, 224, 224)), ValueError, "x must have shape (B, C=3, H, W), got"),
        (
            lambda: large(alexnet_2012)(torch.zeros(1, 3, 227, 227)),
            ValueError,
            "x must have shape (B, C=3, H=224, W=224), got",
        ),
    ],
)
def test_bad_input_names_the_offender(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("build", "size"),
    [(lenet5, (28, 28)), (alexnet, (64, 64)), (alexnet_2012, (224, 224)), (vgg16, (32, 32)), (vgg19, (32, 32))],
)
def test_takes_images_of_other_channels(takes_other_images, build, size):
    takes_other_images(build, *size)
