"""Mirrors dlref/detection/segmentation/unet.py."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.detection import UNet


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_fact_of_the_papers_network():
    with torch.device("meta"):
        net = UNet()
        assert net(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
        assert parameters(net) == 31_030_658
        assert parameters(UNet(skips="add")) == parameters(UNet(skips="none")) == 27_897_218


@pytest.mark.verifies("eq-unet-skip")
@pytest.mark.parametrize("skips", ["concatenate", "add", "none"])
@pytest.mark.parametrize("padding", [False, True])
def test_step_by_step(skips, padding):
    torch.manual_seed(0)
    net = UNet(2, 3, width=4, depth=2, skips=skips, padding=padding).double()
    x = torch.randn(2, 2, 44, 60, dtype=torch.float64)

    def twice(block, x):
        for layer in (block[0], block[2]):
            x = F.conv2d(x, layer.weight, layer.bias, padding=1 if padding else 0).relu()
        return x

    one = twice(net.down[0], x)
    two = twice(net.down[1], F.max_pool2d(one, 2))
    low = twice(net.bottom, F.max_pool2d(two, 2))
    for up, block, met in zip(net.up, net.merge, (two, one), strict=True):
        low = F.conv_transpose2d(low, up.weight, up.bias, stride=2)
        cut = (met.shape[2] - low.shape[2]) // 2, (met.shape[3] - low.shape[3]) // 2
        met = met[:, :, cut[0] : cut[0] + low.shape[2], cut[1] : cut[1] + low.shape[3]]
        if skips == "concatenate":
            low = torch.cat((met, low), 1)
        elif skips == "add":
            low = low + met
        low = twice(block, low)
    torch.testing.assert_close(net(x), F.conv2d(low, net.head.weight, net.head.bias))
    if padding:
        assert net(x).shape == (2, 3, 44, 60)


def test_with_padding_sizes_stay():
    net = UNet(1, 2, width=2, depth=3, padding=True, norm=True)
    assert net(torch.zeros(2, 1, 24, 40)).shape == (2, 2, 24, 40)
    assert not any(c.bias is not None for b in net.down for c in b if isinstance(c, nn.Conv2d))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) == 2 * 7


def test_without_poolings():
    net = UNet(1, 2, width=2, depth=0)
    assert net(torch.zeros(1, 1, 7, 5)).shape == (1, 2, 3, 1)


def test_with_skips_far_pixels_and_near_ones_arrive():
    """Without skips a pixel's own value comes only through the poolings."""
    torch.manual_seed(0)
    x = torch.randn(1, 1, 16, 16, requires_grad=True)
    for skips in ("concatenate", "add", "none"):
        net = UNet(1, 2, width=8, depth=2, skips=skips, padding=True)
        for block in (net.bottom,):  # nothing comes up from below
            nn.init.zeros_(block[2].weight)
            nn.init.zeros_(block[2].bias)
        (grad,) = torch.autograd.grad(net(x)[0, 1, 8, 8], x)
        assert (grad.abs().sum() > 0) == (skips != "none")


SMALL = {"width": 2, "depth": 2}


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        (
            {"padding": True},
            (10, 8),
            "the sides of a picture must be multiples of 4, got torch.float32 tensor of shape (1, 1, 10, 8)",
        ),
        ({"padding": True}, (8, 6), "the sides of a picture must be multiples of 4, got"),
        ({"padding": True}, (0, 8), "the sides of a picture must be multiples of 4, got"),
        ({}, (44, 45), "the sides of a picture must be such that maps can be halved 2 times, and stay, got"),
        ({}, (16, 44), "the sides of a picture must be such that maps can be halved 2 times, and stay, got"),
        ({}, (36, 44), "the sides of a picture must be such that maps can be halved 2 times, and stay, got"),
        ({}, (46, 44), "the sides of a picture must be such that maps can be halved 2 times, and stay, got"),
    ],
)
def test_sides_that_do_not_fit_are_refused(refuses, settings, shape, message):
    refuses(UNet(**SMALL, **settings), (torch.zeros(1, 1, *shape),), ValueError, message)


def test_fact_of_a_side_of_a_hundred():
    """100 halves to 50, 25, 12; up again 24 meets 25."""
    with pytest.raises(ValueError, match=r"^the sides of a picture must be multiples of 16, got"):
        UNet(width=1, padding=True)(torch.zeros(1, 1, 100, 96))


@pytest.mark.parametrize("name", ["in_channels", "classes", "width"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"^{name} must be an integer >= 1, got 0"):
        UNet(**{name: 0})


def test_other_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"^depth must be an integer >= 0, got -1"):
        UNet(depth=-1)
    with pytest.raises(ValueError, match=r"^skips must be one of 'concatenate', 'add', 'none', got 'mean'"):
        UNet(skips="mean")
