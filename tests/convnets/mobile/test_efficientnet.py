"""Mirrors dlref/convnets/mobile/efficientnet.py."""

import math

import pytest
import torch
from torch import nn

from dlref.convnets import (
    EFFICIENTNETS,
    EFFICIENTNETS_LITE,
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
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
    mobilenet_v1,
    mobilenet_v2,
)
from dlref.convnets._blocks import MBConv, SameConv2d, SqueezeExcitation, divisible
from dlref.convnets.mobile import efficientnet
from dlref.count import layer_table

EFFICIENT = [efficientnet_b0, efficientnet_b1, efficientnet_b2, efficientnet_b3]
LITE = {
    f"lite{n}": make
    for n, make in enumerate(
        (efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, efficientnet_lite3, efficientnet_lite4)
    )
}
EFFICIENT += [efficientnet_b4, efficientnet_b5, efficientnet_b6, efficientnet_b7]


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


def test_classes_begin_as_their_builders():
    with torch.device("meta"):
        for kind, make in ((MobileNetV1, mobilenet_v1), (MobileNetV2, mobilenet_v2), (EfficientNet, efficientnet_b0)):
            assert repr(kind()) == repr(make())
            assert make(3, dropout=1.0).classifier[0].p == 1.0
        chances = [m.drop_probability for m in EfficientNet().modules() if isinstance(m, MBConv)]
    assert chances == pytest.approx([0.2 * n / 16 for n in range(16)])


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


def test_lite_networks_are_the_published_ones():
    """Parameters and multiply-adds in millions: README of the release (tensorflow/tpu, efficientnet/lite)."""
    assert EFFICIENTNETS_LITE["lite3"] == (1.2, 1.4, 280, 0.3)
    for (name, (_, _, pixels, _)), parameters, products in zip(
        EFFICIENTNETS_LITE.items(), (4.7, 5.4, 6.1, 8.2, 13.0), (407, 631, 899, 1440, 2640), strict=True
    ):
        with torch.device("meta"):
            model = LITE[name]()
        assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == parameters
        rows = layer_table(model.eval(), (3, pixels, pixels))
        assert sum(row.multiplications for row in rows) / 1e6 == pytest.approx(products, rel=0.06)


@pytest.mark.parametrize("name", [*EFFICIENTNETS, *EFFICIENTNETS_LITE])
def test_builders_make_and_describe_what_their_name_says(name):
    build = efficientnet._builder(name, 1_234_567)
    assert build.__name__ == build.__qualname__ == f"efficientnet_{name}"
    assert f"Build EfficientNet {name.capitalize()}, 1,234,567 parameters for 1000 classes." in build.__doc__
    source = "batch norm as in TensorFlow's weights" if name in EFFICIENTNETS_LITE else "torchvision's names"
    assert f"See :class:`EfficientNet`; {source}.\n" in build.__doc__
    with torch.device("meta"):
        model, other = build(), build(7, 0.25, 0.1)
    width, depth, _, dropout = {**EFFICIENTNETS, **EFFICIENTNETS_LITE}[name]
    drop, last = model.classifier
    assert (drop.p, last.out_features) == (dropout, 1000)
    norm = model.features[-1][1]
    assert (norm.eps, norm.momentum) == (
        (1e-3, 0.01) if name in ("b5", "b6", "b7", *EFFICIENTNETS_LITE) else (1e-5, 0.1)
    )
    blocks, others = ([m for m in net.modules() if isinstance(m, MBConv)] for net in (model, other))
    ends = 1 if name in EFFICIENTNETS_LITE else math.ceil(depth)  # the lite networks' ends are never deeper
    assert len(blocks) == 2 * ends + sum(math.ceil(n * depth) for n in (2, 2, 3, 3, 4))
    assert blocks[-1].block[-1][1].num_features == divisible(320 * width)
    assert blocks[-1].drop_probability == pytest.approx(0.2 * (1 - 1 / len(blocks)))
    assert any(isinstance(m, SqueezeExcitation) for m in model.modules()) == (name in EFFICIENTNETS)
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


def test_weights_begin_as_torch_has_it_and_depth_is_rounded_up():
    assert EfficientNet(0.5, 0.5, 5).classifier[1].bias.any()
    with torch.device("meta"):
        counts = [len(stage) for stage in EfficientNet(1.0, 1.1).features[1:-1]]
        mild = EfficientNet(1.0, 1.0, stochastic_depth_prob=0.0)
    assert counts == [2, 3, 3, 4, 4, 5, 2]
    assert not any(m.drop_probability for m in mild.modules() if isinstance(m, MBConv))


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (EfficientNet, (0.0,), ValueError, "width must be a number in (0, inf), got 0.0"),
        (EfficientNet, (1.0, 0.0), ValueError, "depth must be a number in (0, inf), got 0.0"),
        (EfficientNet, (1.0, 1.0, 10, 0.2, 1.0), ValueError, "stochastic_depth_prob must be a number in ["),
        (efficientnet_b0, (0,), ValueError, "num_classes must be an integer >= 1, got 0"),
        (compound_scaling, (1.0, 0.0), ValueError, "alpha must be a number in (0, inf), got 0.0"),
        (compound_scaling, (1.0, 1.2, 1.1, -1.0), ValueError, "gamma must be a number in (0, inf), got -1.0"),
        (compound_scaling, (1.0, 1.2, 0.0), ValueError, "beta must be a number in (0, inf), got 0.0"),
        (compound_scaling, ("1",), TypeError, "phi must be a number"),
    ],
)  # fmt: skip
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("build", "size"), [(efficientnet_b0, (64, 64)), (efficientnet_lite0, (64, 64))])
def test_takes_images_of_other_channels(takes_other_images, build, size):
    takes_other_images(build, *size)
