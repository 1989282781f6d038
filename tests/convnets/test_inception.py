"""Mirrors dlref/convnets/inception.py."""

import functools

import pytest
import torch
from torch import nn

from dlref.convnets import BasicConv2d, GoogLeNet, GoogLeNetOutputs, Inception, InceptionAux, googlenet
from dlref.count import layer_table, weight_layers


def test_same_names_and_outputs_as_torchvision_with_heads_in_training(twins):
    ours, theirs = twins(googlenet, "googlenet", 64, init_weights=False)
    for model in (ours, theirs):
        model.train()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    x = torch.randn(2, 3, 80, 70)
    with torch.no_grad():
        told, expected = ours(x), theirs(x)
    assert isinstance(told, GoogLeNetOutputs)
    assert told._fields == expected._fields
    for a, b in zip(told, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_same_without_heads(twins):
    ours, _ = twins(
        functools.partial(googlenet, aux_logits=False), "googlenet", 64, init_weights=False, aux_logits=False
    )
    with torch.no_grad():
        assert ours.train()(torch.randn(2, 3, 64, 64)).shape == (2, 7)


def test_parameters_and_multiplications_are_the_published_ones():
    with torch.device("meta"):
        models = googlenet(), googlenet(aux_logits=False), GoogLeNet(aux_logits=False, third_kernel=5)
    counts = [sum(p.numel() for p in model.parameters()) for model in models]
    assert counts[:2] == [13_004_888, 6_624_904]
    rows = layer_table(models[1], (3, 224, 224))
    assert sum(row.multiplications for row in rows) == pytest.approx(1.498e9, rel=0.001)
    larger = layer_table(models[2], (3, 224, 224))
    assert sum(row.multiplications for row in larger) == pytest.approx(1.58e9, rel=0.01)
    outputs = {row.name: row.output for row in rows}
    assert outputs["maxpool1"] == (64, 56, 56)
    assert outputs["maxpool3"] == (480, 14, 14)
    assert outputs["maxpool4"] == (832, 7, 7)
    assert outputs["avgpool"] == (1024, 1, 1)
    assert len(list(weight_layers(models[1]))) == 3 + 9 * 6 + 1


@pytest.mark.verifies("eq-inception-cost", "eq-inception-bottleneck")
def test_multiplications_of_the_notes():
    (direct,) = layer_table(nn.Conv2d(192, 32, 5, padding=2, device="meta"), (192, 28, 28))
    assert direct.multiplications == 120_422_400
    with torch.device("meta"):
        narrow = nn.Sequential(nn.Conv2d(192, 16, 1), nn.Conv2d(16, 32, 5, padding=2))
    assert sum(row.multiplications for row in layer_table(narrow, (192, 28, 28))) == 12_443_648


@pytest.mark.verifies("eq-inception-module")
def test_module_puts_its_branches_on_top_of_each_other(close):
    module = Inception(6, 2, 3, 4, 2, 5, 3).eval()
    x = torch.randn(2, 6, 7, 8)
    with torch.no_grad():
        y = module(x)
        close(y[:, :2], module.branch1(x))
        close(y[:, 2:6], module.branch2(x))
        close(y[:, 6:11], module.branch3(x))
        close(y[:, 11:], module.branch4(x))
    assert y.shape == (2, 14, 7, 8)
    assert module.branch3[1].conv.kernel_size == (5, 5)
    assert Inception(6, 2, 3, 4, 2, 5, 3, third_kernel=1)(x).shape == (2, 14, 7, 8)
    assert Inception(6, 2, 3, 4, 2, 5, 3, third_kernel=3).branch3[1].conv.kernel_size == (3, 3)


def test_block_is_convolution_norm_rectifier(close):
    block = BasicConv2d(3, 4, 3, stride=2, padding=1)
    x = torch.randn(2, 3, 6, 7)
    block.eval()
    close(block(x), block.conv(x).div((1 + 1e-3) ** 0.5).relu(), rtol=1e-5, atol=1e-6)
    assert block.conv.bias is None


def test_settings_reach_their_layers():
    model = GoogLeNet(5, dropout=0.1, dropout_aux=0.3)
    assert (model.dropout.p, model.aux1.dropout.p, model.aux2.dropout.p) == (0.1, 0.3, 0.3)
    assert model.fc.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert model.conv1.conv.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert InceptionAux(8, 3).dropout.p == 0.7
    with torch.device("meta"):
        built = googlenet(5, dropout=0.4, dropout_aux=0.6)
        told, default = googlenet(), GoogLeNet()
    assert (built.dropout.p, built.aux1.dropout.p) == (0.4, 0.6)
    assert (told.dropout.p, told.aux2.dropout.p, told.fc.out_features) == (0.2, 0.7, 1000)
    assert repr(default) == repr(told)
    assert InceptionAux(8, 3, 0.0)(torch.zeros(2, 8, 9, 5)).shape == (2, 3)


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (BasicConv2d, (0, 4, 1), ValueError, "in_channels must be an integer >= 1, got 0"),
        (BasicConv2d, (4, 4, 0), ValueError, "kernel_size must be an integer >= 1, got 0"),
        (BasicConv2d, (4, 4, 1, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (BasicConv2d, (4, 2.5, 1), TypeError, "out_channels must be an integer >= 1, got 2.5 (float)"),
        (Inception, (6, 2, 3, 4, 2, 5, 3, -1), ValueError, "third_kernel must be an integer >= 1, got -1"),
        (Inception, (6, 2, 3, 4, 2, 5, 3, 4), ValueError, "third_kernel must be odd, got 4"),
        (InceptionAux, (8, 0), ValueError, "num_classes must be an integer >= 1, got 0"),
        (InceptionAux, (8, 3, 2.0), ValueError, "dropout must be a number in [0, 1], got 2.0"),
        (GoogLeNet, (0, False), ValueError, "num_classes must be an integer >= 1, got 0"),
        (GoogLeNet, (5, False, -0.1), ValueError, "dropout must be a number in [0, 1], got -0.1"),
        (lambda: GoogLeNet(5)(torch.zeros(1, 1, 64, 64)), (), ValueError, "x must have shape (B, C=3"),
    ],
)
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("build", "size"), [(googlenet, (64, 64))])
def test_takes_images_of_other_channels(takes_other_images, build, size):
    takes_other_images(build, *size)
