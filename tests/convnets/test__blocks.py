"""Mirrors dlref/convnets/_blocks.py."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.convnets import _blocks
from dlref.convnets._blocks import InvertedResidual, MBConv, SameConv2d, SqueezeExcitation, conv_norm, divisible


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


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (InvertedResidual, (0, 4, 1, 6), ValueError, "in_channels must be an integer >= 1, got 0"),
        (InvertedResidual, (4, 0, 1, 6), ValueError, "out_channels must be an integer >= 1, got 0"),
        (InvertedResidual, (4, 4, 1, 0), ValueError, "expand_ratio must be an integer >= 1, got 0"),
        (InvertedResidual, (4, 4, 0, 6), ValueError, "stride must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)


def test_first_layer_says_how_many_channels_come_in():
    class Own(nn.Module):
        in_channels = 7

        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 3, 1))

    assert _blocks.channels_in(Own()) == 4
    assert _blocks.channels_in(nn.Sequential(nn.Linear(2, 3))) is None
    x = torch.zeros(2, 3, 5, 6)
    assert _blocks.image_batch(x, None) is x
    assert _blocks.image_batch(x, 3, 5, 6) is x
    for wanted in ((4,), (3, 4, 6), (3, 5, 5)):
        with pytest.raises(ValueError, match=r"^x must have shape \(B, C="):
            _blocks.image_batch(x, *wanted)


@pytest.mark.usefixtures("unchecked")
def test_traced_in_training_mode_too():
    """What looks at sizes or draws stays one call in the trace."""
    block = MBConv(4, 4, 3, 1, 2, drop_probability=0.5, lite=True)
    traced = torch.fx.symbolic_trace(block.train())
    names = [
        node.target.__name__
        for node in traced.graph.nodes
        if node.op == "call_function" and hasattr(node.target, "__name__")
    ]
    assert {"without_some", "same_padded"} <= set(names)
    assert traced(torch.randn(2, 4, 6, 6)).shape == (2, 4, 6, 6)
