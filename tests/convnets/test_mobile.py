"""Mirrors dlref/convnets/mobile.py, and _blocks.py behind it."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.convnets import (
    EFFICIENTNETS,
    EfficientNet,
    MobileNetV1,
    MobileNetV2,
    Scaling,
    compound_scaling,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
    efficientnet_lite0,
    mobile,
    mobilenet_v1,
    mobilenet_v2,
)
from dlref.convnets._blocks import InvertedResidual, MBConv, SameConv2d, SqueezeExcitation, conv_norm, divisible
from dlref.count import layer_table

EFFICIENT = [efficientnet_b0, efficientnet_b1, efficientnet_b2, efficientnet_b3]
EFFICIENT += [efficientnet_b4, efficientnet_b5, efficientnet_b6, efficientnet_b7]


def test_mobilenet_v2_is_torchvisions(twins):
    ours, theirs = twins(mobilenet_v2, "mobilenet_v2", 64)
    assert ours.classifier[0].p == theirs.classifier[0].p


@pytest.mark.parametrize("make", EFFICIENT[:2] + EFFICIENT[5:6], ids=lambda make: make.__name__)
def test_efficientnet_is_torchvisions(make, twins):
    ours, theirs = twins(make, make.__name__, 48)
    assert ours.classifier[0].p == theirs.classifier[0].p
    chances = [block.drop_probability for block in ours.modules() if isinstance(block, MBConv)]
    expected = [block.stochastic_depth.p for block in theirs.modules() if hasattr(block, "stochastic_depth")]
    assert chances == pytest.approx(expected)
    norms = [next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d)) for model in (ours, theirs)]
    assert (norms[0].eps, norms[0].momentum) == (norms[1].eps, norms[1].momentum)


@pytest.mark.parametrize("make", EFFICIENT, ids=lambda make: make.__name__)
def test_names_shapes_parameters_and_multiplications_of_all_efficientnets(make, torchvision_models):
    with torch.device("meta"):
        ours, theirs = make(), getattr(torchvision_models, make.__name__)(weights=None)
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    weights = torchvision_models.get_model_weights(make.__name__).DEFAULT.meta
    assert sum(p.numel() for p in ours.parameters()) == weights["num_params"]
    name = make.__name__[-2:]
    rows = layer_table(ours.eval(), (3, EFFICIENTNETS[name][2], EFFICIENTNETS[name][2]))
    published = dict(zip(EFFICIENTNETS, (0.39, 0.70, 1.0, 1.8, 4.2, 9.9, 19.0, 37.0), strict=True))[name]
    assert sum(row.multiplications for row in rows) / 1e9 == pytest.approx(published, rel=0.06)
    assert ours.classifier[0].p == theirs.classifier[0].p == EFFICIENTNETS[name][3]


@pytest.mark.parametrize(
    ("make", "parameters", "multiplications"),
    [(mobilenet_v1, 4_231_976, 569e6), (mobilenet_v2, 3_504_872, 300e6), (efficientnet_lite0, 4_652_008, 407e6)],
)
def test_published_parameters_and_multiplications(make, parameters, multiplications):
    with torch.device("meta"):
        model = make()
    assert sum(p.numel() for p in model.parameters()) == parameters
    rows = layer_table(model.eval(), (3, 224, 224))
    assert sum(row.multiplications for row in rows) == pytest.approx(multiplications, rel=0.06)
    assert rows[-1].output == (1000,)


def test_classes_begin_as_their_builders():
    with torch.device("meta"):
        for kind, make in ((MobileNetV1, mobilenet_v1), (MobileNetV2, mobilenet_v2), (EfficientNet, efficientnet_b0)):
            assert repr(kind()) == repr(make())
            assert make(3, dropout=1.0).classifier[0].p == 1.0
        chances = [m.drop_probability for m in EfficientNet().modules() if isinstance(m, MBConv)]
    assert chances == pytest.approx([0.2 * n / 16 for n in range(16)])


def test_mobilenet_v1_is_its_table():
    with torch.device("meta"):
        rows = layer_table(mobilenet_v1(), (3, 224, 224))
        half = layer_table(MobileNetV1(7, 0.5, 0.25), (3, 160, 160))
    convolutions = [row.output for row in rows if row.kind == "Conv2d"]
    assert len(convolutions) == 1 + 2 * 13
    assert convolutions[:5] == [(32, 112, 112), (32, 112, 112), (64, 112, 112), (64, 56, 56), (128, 56, 56)]
    assert convolutions[-1] == (1024, 7, 7)
    assert [row.output[0] for row in half if row.kind == "Conv2d"][-1] == 512
    assert half[-1].output == (7,)
    tiny = MobileNetV1(2, 0.01)
    assert [part[0].out_channels for part in tiny.features[:3]] == [8, 8, 8]
    assert tiny.classifier[1].in_features == 10
    assert all(type(part[2]) is nn.ReLU and part[2].inplace for part in tiny.features)
    assert MobileNetV1(2, 0.1, 0.25).classifier[0].p == 0.25
    assert mobilenet_v1(2, 0.1).classifier[0].p == 0.001


@pytest.mark.verifies("eq-inverted-residual")
def test_inverted_residual_is_linear_at_its_end(close):
    block = InvertedResidual(4, 4, 1, 6).eval()
    x = torch.randn(2, 4, 6, 5)
    up, depth, project, norm = block.conv
    close(block(x), x + norm(project(depth(up(x)))))
    assert isinstance(up[2], nn.ReLU6)
    assert (up[0].out_channels, depth[0].groups, project.out_channels) == (24, 24, 4)
    assert not InvertedResidual(4, 6, 1, 6).shortcut
    assert not InvertedResidual(4, 4, 2, 6).shortcut
    assert [len(InvertedResidual(4, 4, 1, expansion).conv) for expansion in (1, 2)] == [3, 4]
    assert MBConv(3, 3, 3, 1, 1).block[1].fc1.out_channels == 1


@pytest.mark.verifies("eq-squeeze")
def test_squeeze_and_excitation_weighs_channels(close):
    layer, x = SqueezeExcitation(6, 2).double(), torch.randn(3, 6, 4, 5, dtype=torch.float64)
    hidden = F.silu(x.mean((2, 3)) @ layer.fc1.weight[:, :, 0, 0].T + layer.fc1.bias)
    weights = torch.sigmoid(hidden @ layer.fc2.weight[:, :, 0, 0].T + layer.fc2.bias)
    close(layer(x), x * weights[:, :, None, None])


def test_a_block_is_left_out_for_whole_examples_and_made_up_for():
    block = MBConv(4, 4, 3, 1, 2, drop_probability=0.25)
    x = torch.randn(400, 4, 3, 3)
    with torch.no_grad():
        added = block.train()(x) - x
        plain = block.block(x)
    kept = added.flatten(1).abs().sum(1) > 0
    assert 260 < kept.sum() < 340
    torch.testing.assert_close(added[kept], 4 / 3 * plain[kept], rtol=1e-3, atol=1e-3)
    assert MBConv(4, 4, 3, 1, 2).drop_probability == 0
    with torch.no_grad():
        block.eval()
        torch.testing.assert_close(block(x), x + block.block(x))
        assert MBConv(4, 6, 3, 1, 2, drop_probability=0.9).train()(x).shape == (400, 6, 3, 3)


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(8, 3, 2), (7, 3, 2), (8, 5, 2), (9, 5, 1), (6, 3, 1), (8, 1, 2)]
)
def test_tensorflows_padding_halves_with_the_odd_zero_at_the_end(size, kernel, stride, close):
    layer = SameConv2d(2, 3, kernel, stride)
    x = torch.randn(2, 2, size, size + 1)
    y = layer(x)
    assert y.shape[2:] == (-(-size // stride), -(-(size + 1) // stride))
    total = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (size, size + 1)]
    before = [t // 2 for t in total]
    window = F.pad(x, (4, 4, 4, 4))[0, :, 4 - before[0] :, 4 - before[1] :][:, :kernel, :kernel]
    close(y[0, :, 0, 0], (layer.weight * window).sum((1, 2, 3)) + layer.bias, rtol=1e-5, atol=1e-5)


def test_tensorflows_padding_of_oblong_kernels():
    layer = SameConv2d(1, 1, (3, 5), (2, 1))
    assert layer(torch.zeros(1, 1, 7, 8)).shape == (1, 1, 4, 8)
    layer = SameConv2d(1, 1, (5, 3), (1, 2))
    assert layer(torch.zeros(1, 1, 7, 8)).shape == (1, 1, 7, 4)


def test_lite_has_no_squeeze_no_silu_and_scales_neither_end():
    with torch.device("meta"):
        model = EfficientNet(1.4, 1.8, 7, lite=True)
        lite0 = efficientnet_lite0()
    kinds = {type(m).__name__ for m in model.modules()}
    assert "SqueezeExcitation" not in kinds
    assert "SiLU" not in kinds
    assert model.features[0][0].out_channels == 32
    assert model.features[-1][0].out_channels == 1280
    norm = lite0.features[0][1]
    assert (norm.eps, norm.momentum) == (0.001, 0.01)
    assert isinstance(lite0.features[2][0].block[1][0], SameConv2d)
    assert isinstance(lite0.features[0][0], SameConv2d)
    assert type(EfficientNet(0.5, 0.5).features[0][0]) is nn.Conv2d
    assert lite0.classifier[0].p == 0.2


@pytest.mark.parametrize("name", [*EFFICIENTNETS, "lite0"])
def test_builders_make_and_describe_what_their_name_says(name):
    build = mobile._builder(name, 1_234_567)
    assert build.__name__ == build.__qualname__ == f"efficientnet_{name}"
    assert f"Build EfficientNet {name.capitalize()}, 1,234,567 parameters for 1000 classes." in build.__doc__
    source = "batch norm as in TensorFlow's weights" if name == "lite0" else "torchvision's names"
    assert f"See :class:`EfficientNet`; {source}.\n" in build.__doc__
    with torch.device("meta"):
        model, other = build(), build(7, 0.25, 0.1)
    width, depth, _, dropout = EFFICIENTNETS.get(name, (1.0, 1.0, 224, 0.2))
    drop, last = model.classifier
    assert (drop.p, last.out_features) == (dropout, 1000)
    norm = model.features[-1][1]
    assert (norm.eps, norm.momentum) == ((1e-3, 0.01) if name in ("b5", "b6", "b7", "lite0") else (1e-5, 0.1))
    blocks, others = ([m for m in net.modules() if isinstance(m, MBConv)] for net in (model, other))
    assert len(blocks) == sum(math.ceil(n * depth) for n in (1, 2, 2, 3, 3, 4, 1))
    assert blocks[-1].block[-1][1].num_features == divisible(320 * width)
    assert blocks[-1].drop_probability == pytest.approx(0.2 * (1 - 1 / len(blocks)))
    assert any(isinstance(m, SqueezeExcitation) for m in model.modules()) == (name != "lite0")
    assert all(m.inplace for m in model.modules() if isinstance(m, nn.ReLU6 | nn.SiLU))
    drop, last = other.classifier
    assert (drop.p, last.out_features, others[-1].drop_probability) == (0.25, 7, blocks[-1].drop_probability / 2)


@pytest.mark.verifies("eq-compound")
def test_compound_scaling_is_the_papers():
    assert compound_scaling(0.0) == Scaling(1.0, 1.0, 1.0, 1.0)
    one = compound_scaling(1.0)
    assert one == pytest.approx((1.1, 1.2, 1.15, 1.2 * 1.21 * 1.3225))
    assert compound_scaling(3.0).multiplications == pytest.approx(one.multiplications**3)
    assert compound_scaling(2.0, 2.0, 3.0, 4.0) == pytest.approx((9.0, 4.0, 16.0, (2 * 9 * 16) ** 2))


@pytest.mark.verifies("eq-divisible")
@pytest.mark.parametrize(
    ("channels", "expected"), [(3.0, 8), (16.0, 16), (17.6, 16), (20.0, 24), (25.6, 24), (84.0, 88), (11.0, 16)]
)
def test_widths_are_rounded_to_multiples_of_eight(channels, expected):
    assert divisible(channels) == expected


def test_blocks_of_convolution_norm_and_activation():
    block = conv_norm(4, 8, 5, 2, 2)
    assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6]
    assert (block[0].padding, block[0].stride, block[0].groups, block[0].bias) == ((2, 2), (2, 2), 2, None)
    assert len(conv_norm(4, 8, activation=None)) == 2


def test_weights_begin_as_he_has_it_and_depth_is_rounded_up():
    model = MobileNetV2(5, 0.5)
    assert EfficientNet(0.5, 0.5, 5).classifier[1].bias.any()
    last = model.features[-1][0].weight
    assert last.std().item() == pytest.approx((2 / last.shape[0]) ** 0.5, rel=0.02)
    assert model.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.classifier[1].weight.mean().item() == pytest.approx(0, abs=0.001)
    assert not model.classifier[1].bias.any()
    wide = MobileNetV2(5, 1.5)
    assert wide.classifier[1].in_features == 1920
    assert [wide.features[n][0].out_channels for n in (0, -1)] == [48, 1920]
    assert [wide.features[n].conv[-1].num_features for n in (1, 2, 4, 7, 11, 14, 17)] == [24, 40, 48, 96, 144, 240, 480]
    with torch.device("meta"):
        counts = [len(stage) for stage in EfficientNet(1.0, 1.1).features[1:-1]]
        mild = EfficientNet(1.0, 1.0, stochastic_depth_prob=0.0)
    assert counts == [2, 3, 3, 4, 4, 5, 2]
    assert not any(m.drop_probability for m in mild.modules() if isinstance(m, MBConv))


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (mobilenet_v1, (0,), ValueError, "num_classes must be an integer >= 1, got 0"),
        (mobilenet_v1, (10, 0.0), ValueError, "width_mult must be a number in (0, inf), got 0.0"),
        (mobilenet_v2, (10, -1.0), ValueError, "width_mult must be a number in (0, inf), got -1.0"),
        (mobilenet_v2, (10, 1.0, 1.5), ValueError, "dropout must be a number in [0, 1], got 1.5"),
        (EfficientNet, (0.0,), ValueError, "width must be a number in (0, inf), got 0.0"),
        (EfficientNet, (1.0, 0.0), ValueError, "depth must be a number in (0, inf), got 0.0"),
        (EfficientNet, (1.0, 1.0, 10, 0.2, 1.0), ValueError, "stochastic_depth_prob must be a number in ["),
        (efficientnet_b0, (0,), ValueError, "num_classes must be an integer >= 1, got 0"),
        (compound_scaling, (1.0, 0.0), ValueError, "alpha must be a number in (0, inf), got 0.0"),
        (compound_scaling, (1.0, 1.2, 1.1, -1.0), ValueError, "gamma must be a number in (0, inf), got -1.0"),
        (InvertedResidual, (0, 4, 1, 6), ValueError, "in_channels must be an integer >= 1, got 0"),
        (compound_scaling, (1.0, 1.2, 0.0), ValueError, "beta must be a number in (0, inf), got 0.0"),
        (compound_scaling, ("1",), TypeError, "phi must be a number"),
        (InvertedResidual, (4, 0, 1, 6), ValueError, "out_channels must be an integer >= 1, got 0"),
        (InvertedResidual, (4, 4, 1, 0), ValueError, "expand_ratio must be an integer >= 1, got 0"),
        (InvertedResidual, (4, 4, 0, 6), ValueError, "stride must be an integer >= 1, got 0"),
        (lambda: mobilenet_v1(3, 0.1)(torch.zeros(1, 1, 32, 32)), (), ValueError, "x must have shape (B, C=3"),
    ],
)  # fmt: skip
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)
