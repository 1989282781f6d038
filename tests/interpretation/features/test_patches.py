"""Mirrors dlref/interpretation/features/patches.py."""

import re
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.convnets import Inception, LeNet5, pretrained_lite0, receptive_field, resnet18
from dlref.convnets.convolution import Conv2d, MaxPool2d
from dlref.interpretation import Patch, ReceptiveField, maximal_patches, receptive_fields

WINDOW = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))


@pytest.mark.verifies("eq-receptive-start")
@given(st.lists(WINDOW, min_size=1, max_size=3), st.sampled_from(["conv", "max", "ours"]), st.integers(40, 43))
def test_sizes_and_places_are_those_of_the_arithmetic(windows, kind, length):
    layers, start, jump = [], 0, 1
    for kernel, stride, padding in windows:
        padding = min(padding, kernel // 2)
        made = {
            "conv": partial(nn.Conv2d, 1, 1),
            "max": nn.MaxPool2d,
            "ours": partial(Conv2d, 1, 1),
        }[kind](kernel, stride=stride, padding=padding)
        layers.append(made)
        start, jump = start - padding * jump, jump * stride
    net = nn.Sequential(*layers)
    rows, columns = receptive_fields(net, str(len(layers) - 1), (1, length, 41))
    size = receptive_field([(k, s, 1) for k, s, _ in windows])[-1]
    assert rows == columns == ReceptiveField(start, jump, size)


def test_rows_and_columns_differ():
    net = nn.Sequential(nn.Conv2d(1, 2, (3, 5), stride=(1, 2), padding=(0, 2)), MaxPool2d((2, 1)))
    rows, columns = receptive_fields(net, "1", (1, 16, 17))
    assert rows == ReceptiveField(0, 2, 4)
    assert columns == ReceptiveField(-2, 2, 5)


def test_longest_way_through_branches():
    rows, _ = receptive_fields(resnet18(), "layer1", (3, 64, 64))
    assert rows == ReceptiveField(-21, 4, 43)  # 7/2, pool 3/2, four 3/1
    net = nn.Sequential(Inception(4, 2, 2, 3, 2, 3, 2))
    assert receptive_fields(net, "0", (4, 20, 20))[0] == ReceptiveField(-2, 1, 5)


def test_lite0_whose_padding_depends_on_the_size():
    net = pretrained_lite0()
    for length in (64, 96):
        for number, size in ((0, 3), (1, 7), (2, 19)):
            rows, columns = receptive_fields(net, f"features.{number}", (3, length, 64))
            assert rows.size == columns.size == size
    even, odd = (receptive_fields(net, "features.0", (3, n, 64))[0] for n in (64, 65))
    assert (even.start, odd.start) == (0, -1)


def test_a_field_longer_than_the_picture():
    net = nn.Sequential(*[nn.Conv2d(1, 1, 9, padding=4) for _ in range(3)])
    assert receptive_fields(net, "2", (1, 10, 10))[0] == ReceptiveField(-12, 1, 25)


def test_a_layer_that_sees_everything():
    class Scaled(nn.Module):
        def forward(self, x):
            return x * x.mean((2, 3), keepdim=True)

    net = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), Scaled())
    assert receptive_fields(net, "1", (1, 9, 9))[0] == ReceptiveField(0, 0, 9)
    [patch] = maximal_patches(net, torch.randn(1, 1, 9, 9), "1", channels=[0])[0]
    assert patch.rows == patch.columns == slice(0, 9)


def test_the_mode_and_the_type_of_the_network():
    net = LeNet5().double().train()
    assert receptive_fields(net, "features.5", (1, 28, 28))[0] == ReceptiveField(-2, 4, 16)
    assert net.training


@pytest.mark.parametrize("unit", range(4))
def test_inside(unit):
    first = -1 + 2 * unit
    assert ReceptiveField(-1, 2, 3).inside(unit, 6) == slice(max(first, 0), min(first + 3, 6))


# ------------------------------------------------------------------------------------------------ patches


def pointwise(*weights: float) -> nn.Sequential:
    net = nn.Sequential(nn.Conv2d(1, len(weights), 1, bias=False))
    net[0].weight.data = torch.tensor(weights)[:, None, None, None]
    return net


def test_the_strongest_first():
    x = torch.tensor([[[[1.0, 5.0], [2.0, 3.0]]], [[[4.0, 0.0], [6.0, -7.0]]]])
    found = maximal_patches(pointwise(1.0, -1.0), x, "0", channels=[1, 0], count=3)
    assert list(found) == [1, 0]
    assert [patch.value for patch in found[0]] == [6.0, 5.0, 4.0]
    assert [(patch.image, patch.place) for patch in found[0]] == [(1, (1, 0)), (0, (0, 1)), (1, (0, 0))]
    assert found[1][0] == Patch(7.0, 1, (1, 1), slice(1, 2), slice(1, 2))


def test_fewer_if_there_are_no_more():
    found = maximal_patches(pointwise(1.0), torch.randn(1, 1, 2, 2), "0", channels=[0], count=9)[0]
    assert len(found) == 4


def test_a_patch_has_the_value_of_its_pixels_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2), nn.ReLU(), nn.Conv2d(3, 2, 3))
    x = torch.randn(3, 2, 21, 19)
    for channel, patches in maximal_patches(net, x, "2", channels=[0, 1], count=5).items():
        for patch in patches:
            alone = x[patch.image : patch.image + 1, :, patch.rows, patch.columns]
            assert alone.shape[2:] == (7, 7)
            assert net(alone)[0, channel].item() == pytest.approx(patch.value, rel=1e-5)


def test_no_two_overlap_by_half_at_the_border():
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(1, 4, 9, padding=4))
    for patches in maximal_patches(net, torch.randn(1, 1, 20, 20), "0", channels=range(4), count=40).values():
        for k, one in enumerate(patches):
            for other in patches[:k]:
                both = [
                    2 * (min(a.stop, b.stop) - max(a.start, b.start)) >= min(a.stop - a.start, b.stop - b.start)
                    for a, b in ((one.rows, other.rows), (one.columns, other.columns))
                ]
                assert not all(both)


def test_what_is_no_number_is_passed_over():
    x = torch.tensor([[[[1.0, float("nan")], [2.0, 3.0]]]])
    found = maximal_patches(pointwise(1.0), x, "0", channels=[0])[0]
    assert [patch.value for patch in found] == [3.0, 2.0, 1.0]


@pytest.mark.parametrize("last", [nn.ConvTranspose2d(1, 1, 3, 2, 1), nn.Upsample(scale_factor=2)])
def test_units_that_are_not_spaced_evenly_are_refused(last):
    net = nn.Sequential(nn.Conv2d(1, 1, 3), last)
    with pytest.raises(ValueError, match="layer must have evenly spaced units that see equally much, '1' has"):
        receptive_fields(net, "1", (1, 20, 20))


def test_a_network_that_swallows_nan_is_refused():
    class Swallowing(nn.Module):
        def forward(self, x):
            return x.nan_to_num()

    with pytest.raises(
        ValueError, match=r"^model must pass NaN on to the layer '0', or what its units see can't be found out$"
    ):
        receptive_fields(nn.Sequential(Swallowing()), "0", (1, 20, 20))


def test_no_two_overlap_by_half():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 1, 6, bias=False))
    patches = maximal_patches(net, torch.randn(1, 1, 30, 30), "0", channels=[0], count=60)[0]
    starts = torch.tensor([[p.rows.start, p.columns.start] for p in patches])
    apart = (starts[:, None] - starts).abs().amax(2) + 100 * torch.eye(len(starts), dtype=torch.long)
    assert apart.min() == 4  # overlaps of 2 of 6 at the most, nothing is cut off
    assert len(patches) > 20


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("layer", "settings", "message"),
    [
        ("9", {"channels": [0]}, "layers must be names of parts"),
        ("0", {"channels": [2]}, "channels must be an integer in [0, 1], got 2"),
        ("0", {"channels": [-1]}, "channels must be an integer in [0, 1], got -1"),
        ("0", {"channels": [0], "count": 0}, "count must be an integer >= 1, got 0"),
        (
            "1",
            {"channels": [0]},
            "layer must give maps of shape (B, K, h, w), got torch.float32 tensor of shape (1, 32)",
        ),
    ],
)
def test_arguments_of_maximal_patches_are_refused(layer, settings, message):
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten())
    with pytest.raises(ValueError, match=re.escape(message)):
        maximal_patches(net, torch.zeros(1, 1, 4, 4), layer, **settings)


@pytest.mark.usefixtures("unchecked")
def test_sizes_are_refused():
    with pytest.raises(ValueError, match=re.escape("size must be (channels, rows, columns), got (4, 4)")):
        receptive_fields(pointwise(1.0), "0", (4, 4))
    with pytest.raises(ValueError, match="size must be an integer >= 1, got 0"):
        receptive_fields(pointwise(1.0), "0", (1, 0, 4))
    with pytest.raises(ValueError, match=r"^images must have shape \(B, C, H, W\), got"):
        maximal_patches(pointwise(1.0), torch.zeros(1, 4, 4), "0", channels=[0])
    with pytest.raises(ValueError, match="images must not be empty"):
        maximal_patches(pointwise(1.0), torch.zeros(0, 1, 4, 4), "0", channels=[0])


def test_nine_by_default():
    assert len(maximal_patches(pointwise(1.0), torch.rand(1, 1, 6, 6), "0", channels=[0])[0]) == 9
