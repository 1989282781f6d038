"""Mirrors dlref/convnets/mobile/mobilenet.py."""

import pytest
import torch
from torch import nn

from dlref.convnets import (
    MobileNetV1,
    MobileNetV2,
    efficientnet_lite0,
    mobilenet_v1,
    mobilenet_v2,
)
from dlref.count import layer_table


def test_mobilenet_v2_is_torchvisions(twins):
    ours, theirs = twins(mobilenet_v2, "mobilenet_v2", 64)
    assert ours.classifier[0].p == theirs.classifier[0].p


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


def test_weights_begin_as_he_has_it():
    model = MobileNetV2(5, 0.5)
    last = model.features[-1][0].weight
    assert last.std().item() == pytest.approx((2 / last.shape[0]) ** 0.5, rel=0.02)
    assert model.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.classifier[1].weight.mean().item() == pytest.approx(0, abs=0.001)
    assert not model.classifier[1].bias.any()
    wide = MobileNetV2(5, 1.5)
    assert wide.classifier[1].in_features == 1920
    assert [wide.features[n][0].out_channels for n in (0, -1)] == [48, 1920]
    assert [wide.features[n].conv[-1].num_features for n in (1, 2, 4, 7, 11, 14, 17)] == [24, 40, 48, 96, 144, 240, 480]


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (mobilenet_v1, (0,), ValueError, "num_classes must be an integer >= 1, got 0"),
        (mobilenet_v1, (10, 0.0), ValueError, "width_mult must be a number in (0, inf), got 0.0"),
        (mobilenet_v2, (10, -1.0), ValueError, "width_mult must be a number in (0, inf), got -1.0"),
        (mobilenet_v2, (10, 1.0, 1.5), ValueError, "dropout must be a number in [0, 1], got 1.5"),
        (lambda: mobilenet_v1(3, 0.1)(torch.zeros(1, 1, 32, 32)), (), ValueError, "x must have shape (B, C=3"),
    ],
)
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("build", "size"), [(mobilenet_v1, (64, 64)), (mobilenet_v2, (64, 64))])
def test_takes_images_of_other_channels(takes_other_images, build, size):
    takes_other_images(build, *size)
