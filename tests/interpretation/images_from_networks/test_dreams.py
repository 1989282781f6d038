"""Mirrors dlref/interpretation/images_from_networks/dreams.py."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.interpretation import deep_dream, layer_outputs


def network(seed: int = 0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2)).double()


def energy(net, x, layer):
    return layer_outputs(net, x, [layer])[layer].square().mean().item()


@pytest.mark.parametrize("layer", ["0", "2", "3"])
def test_the_layer_sees_more(layer):
    net, x = network().eval(), torch.rand(1, 3, 30, 40, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    dream = deep_dream(net, x, layer, octaves=2, steps=5, jitter=2, generator=generator)
    assert dream.shape == x.shape
    assert energy(net, dream, layer) > 1.2 * energy(net, x, layer)


@pytest.mark.verifies("eq-dream-step")
def test_one_step_on_one_size():
    net, x = network().eval(), torch.rand(2, 3, 12, 12, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(net(leaf).square().mean((1, 2, 3)).sum(), leaf)
    wanted = x + 0.1 * slope / slope.abs().mean((1, 2, 3), keepdim=True)
    found = deep_dream(net, x, "3", octaves=1, steps=1, lr=0.1, jitter=0)
    torch.testing.assert_close(found, wanted)
    change = (found - x).abs().mean((1, 2, 3))
    torch.testing.assert_close(change, torch.full((2,), 0.1, dtype=torch.float64))


def test_two_sizes():
    net, x = network().eval(), torch.rand(1, 3, 14, 28, dtype=torch.float64)
    small = F.interpolate(x, (10, 20), mode="bilinear", antialias=True)
    added = deep_dream(net, small, "3", octaves=1, steps=2, lr=0.1, jitter=0) - small
    start = x + F.interpolate(added, (14, 28), mode="bilinear", antialias=True)
    wanted = deep_dream(net, start, "3", octaves=1, steps=2, lr=0.1, jitter=0)
    found = deep_dream(net, x, "3", octaves=2, octave_scale=1.4, steps=2, lr=0.1, jitter=0)
    torch.testing.assert_close(found, wanted)


def test_silent_neurons_stay_silent():
    """Where the layer is zero the square has no slope; the image is left as it is."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()).double().eval()
    net[0].weight.data.fill_(1.0)
    net[0].bias.data.fill_(-2.0)
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    assert torch.equal(deep_dream(net, x, "1", octaves=1, jitter=0), x)
    assert not torch.equal(deep_dream(net, x, "0", octaves=1, jitter=0), x)


def test_faint_layers_are_made_louder():
    """The step has the same size however small the outputs are."""
    net, x = network().float().eval(), torch.rand(1, 3, 12, 12)
    settings = {"octaves": 1, "steps": 1, "lr": 0.1, "jitter": 0}
    wanted = deep_dream(net, x, "3", **settings)
    net[3].weight.data *= 1e-12
    net[3].bias.data *= 1e-12
    torch.testing.assert_close(deep_dream(net, x, "3", **settings), wanted, rtol=1e-3, atol=1e-4)


def test_bounds_hold():
    net, x = network().eval(), torch.rand(1, 3, 12, 12, dtype=torch.float64)
    low, high = torch.tensor([0.0, 0.1, 0.2])[:, None, None], 0.9
    start = x.maximum(low).clamp(max=high)
    dream = deep_dream(net, start, "3", octaves=2, lr=0.5, jitter=0, bounds=(low, high))
    assert (dream >= low).all()
    assert (dream <= high).all()


def test_same_generator_same_dream_and_shifts_count():
    net, x = network().eval(), torch.rand(1, 3, 12, 12, dtype=torch.float64)
    dreams = [
        deep_dream(net, x, "3", octaves=2, jitter=3, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)
    ]
    assert torch.equal(dreams[0], dreams[1])
    assert not torch.allclose(dreams[0], dreams[2])


def test_what_belongs_to_the_caller_is_left_alone():
    net, x = network().train(), torch.rand(1, 3, 12, 12, dtype=torch.float64)
    before, mean = x.clone(), net[1].running_mean.clone()
    with torch.no_grad():
        found = deep_dream(net, x, "3", octaves=1, steps=2)
    assert net.training
    assert torch.equal(x, before)
    assert torch.equal(mean, net[1].running_mean)
    assert not found.requires_grad
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"x": torch.rand(3, 12, 12, dtype=torch.float64)}, "x must have shape (B, C, H, W), got"),
        ({"octaves": 0}, "octaves must be an integer >= 1, got 0"),
        ({"octave_scale": 1.0}, "octave_scale must be a number in (1, inf), got 1.0"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"lr": 0.0}, "lr must be a number in (0, inf), got 0.0"),
        ({"jitter": -1}, "jitter must be an integer >= 0, got -1"),
        ({"bounds": (0.0, torch.zeros(7))}, "bounds must be numbers or fit the shape"),
        ({"layer": "9"}, "layers must be names of parts"),
    ],
)
def test_settings_of_a_dream_are_refused(refuses, settings, message):
    given = {"x": torch.rand(1, 3, 12, 12, dtype=torch.float64), "layer": "3"} | settings
    refuses(partial(deep_dream, network(), **given), [], ValueError, message)


def test_usual_settings_are_those_of_the_signature():
    net, x = network().eval(), torch.rand(1, 3, 40, 44, dtype=torch.float64)
    usual = {"octaves": 4, "octave_scale": 1.4, "steps": 10, "lr": 0.02, "jitter": 16}
    one, other = (
        deep_dream(net, x, "3", generator=torch.Generator().manual_seed(3), **settings) for settings in ({}, usual)
    )
    assert torch.equal(one, other)


def test_shifts_go_along_both_axes_and_are_taken_back():
    net, x = network().eval(), torch.rand(1, 3, 12, 15, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    wanted = x
    for _ in range(3):
        shift = torch.randint(-3, 4, (2,), generator=generator).tolist()
        leaf = wanted.roll(shift, (2, 3)).requires_grad_()
        (slope,) = torch.autograd.grad(net(leaf).square().mean(), leaf)
        slope = slope.roll([-n for n in shift], (2, 3))
        wanted = wanted + 0.1 * slope / slope.abs().mean()
    found = deep_dream(
        net, x, "3", octaves=1, steps=3, lr=0.1, jitter=3, generator=torch.Generator().manual_seed(1)
    )  # fmt: skip
    torch.testing.assert_close(found, wanted)
