"""Mirrors dlref/training/initialization.py."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from dlref.training import (
    calculate_gain,
    default_bound_,
    fan_in_and_fan_out,
    kaiming_normal_,
    kaiming_uniform_,
    signal_spread,
    xavier_normal_,
    xavier_uniform_,
)

SHAPES = [(40, 90), (30, 20, 3, 3), (8, 300, 2)]
PAIRS = {
    "xavier_uniform": (xavier_uniform_, nn.init.xavier_uniform_, {}),
    "xavier_uniform gain": (xavier_uniform_, nn.init.xavier_uniform_, {"gain": 1.7}),
    "xavier_normal": (xavier_normal_, nn.init.xavier_normal_, {}),
    "xavier_normal gain": (xavier_normal_, nn.init.xavier_normal_, {"gain": 0.4}),
    "kaiming_uniform": (kaiming_uniform_, nn.init.kaiming_uniform_, {}),
    "kaiming_uniform out": (kaiming_uniform_, nn.init.kaiming_uniform_, {"mode": "fan_out", "nonlinearity": "relu"}),
    "kaiming_uniform leak": (kaiming_uniform_, nn.init.kaiming_uniform_, {"a": 0.3}),
    "kaiming_normal": (kaiming_normal_, nn.init.kaiming_normal_, {}),
    "kaiming_normal out": (kaiming_normal_, nn.init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}),
    "kaiming_normal leak": (kaiming_normal_, nn.init.kaiming_normal_, {"a": 0.3}),
}


@pytest.mark.verifies("eq-xavier", "eq-kaiming")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_torchs(pair, shape, close):
    ours, theirs, settings = PAIRS[pair]
    ends = []
    for function in (ours, theirs):
        tensor = torch.empty(shape, dtype=torch.float64, requires_grad=True)
        assert function(tensor, **settings, generator=torch.Generator().manual_seed(3)) is tensor
        ends.append(tensor.detach())
        assert tensor.grad_fn is None
    close(*ends)


@pytest.mark.verifies("eq-xavier", "eq-kaiming", "eq-default-init")
@pytest.mark.parametrize("shape", SHAPES)
def test_distribution_by_statistics(shape):
    """Kolmogorov and Smirnov beside the distributions as the papers give them."""
    places = math.prod(shape[2:])
    n_in, n_out = shape[1] * places, shape[0] * places
    expected = {
        xavier_uniform_: stats.uniform(-math.sqrt(6 / (n_in + n_out)), 2 * math.sqrt(6 / (n_in + n_out))),
        xavier_normal_: stats.norm(0, math.sqrt(2 / (n_in + n_out))),
        kaiming_uniform_: stats.uniform(-math.sqrt(6 / n_in), 2 * math.sqrt(6 / n_in)),
        kaiming_normal_: stats.norm(0, math.sqrt(2 / n_in)),
        default_bound_: stats.uniform(-1 / math.sqrt(n_in), 2 / math.sqrt(n_in)),
    }
    for function, distribution in expected.items():
        draws = function(torch.empty(shape, dtype=torch.float64), generator=torch.Generator().manual_seed(1))
        assert stats.kstest(draws.flatten().numpy(), distribution.cdf).pvalue > 1e-3
        assert draws.var().item() == pytest.approx(distribution.var(), rel=0.1)


@pytest.mark.verifies("eq-default-init")
@pytest.mark.parametrize("layer", [nn.Linear(70, 30), nn.Conv2d(8, 6, 3), nn.Conv1d(8, 6, 5)])
def test_default_is_that_of_torchs_layers(layer, close):
    torch.manual_seed(4)
    layer.reset_parameters()
    torch.manual_seed(4)
    close(default_bound_(torch.empty_like(layer.weight)), layer.weight.detach())


@pytest.mark.parametrize("shape", SHAPES)
def test_fans_are_torchs(shape):
    assert fan_in_and_fan_out(torch.empty(shape)) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_are_torchs(name):
    assert calculate_gain(name) == pytest.approx(nn.init.calculate_gain(name), rel=1e-15)
    assert calculate_gain("leaky_relu", 0.2) == pytest.approx(nn.init.calculate_gain("leaky_relu", 0.2), rel=1e-15)


@pytest.mark.verifies("eq-sum-variance")
def test_variance_of_a_weighted_sum():
    """Weights and inputs independent, weights of mean zero, inputs not."""
    torch.manual_seed(0)
    w, x = 0.1 * torch.randn(20_000, 50, dtype=torch.float64), 1 + torch.randn(20_000, 50, dtype=torch.float64)
    z = (w * x).sum(1)
    assert z.var().item() == pytest.approx(50 * 0.01 * (x**2).mean().item(), rel=0.03)


@pytest.mark.verifies("eq-rectified-square")
def test_a_rectifier_halves_the_mean_square():
    z = torch.randn(500_000, dtype=torch.float64)
    assert z.clamp(min=0).square().mean().item() == pytest.approx(0.5, rel=0.01)
    leaky = torch.where(z > 0, z, 0.3 * z)
    assert leaky.square().mean().item() == pytest.approx((1 + 0.09) / 2, rel=0.01)
    assert leaky.square().mean().item() * calculate_gain("leaky_relu", 0.3) ** 2 == pytest.approx(1, rel=0.01)


@pytest.mark.verifies("eq-backward-variance")
def test_gradients_keep_their_variance_by_fan_out():
    torch.manual_seed(0)
    W = kaiming_normal_(torch.empty(900, 300, dtype=torch.float64), mode="fan_out", nonlinearity="linear")
    delta = torch.randn(900, 200, dtype=torch.float64)
    assert (W.T @ delta).var().item() == pytest.approx(1, rel=0.05)


def test_spread_of_each_layer():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    x = torch.randn(20, 5)
    first = net[0](x)
    assert signal_spread(net, x) == pytest.approx([first.std().item(), net(x).std().item()])
    assert signal_spread(net, x, nn.ReLU) == pytest.approx([first.clamp(min=0).std().item()])
    assert len(signal_spread(net, x, (nn.ReLU, nn.Linear))) == 3


W = torch.empty(3, 3)
REFUSED = {
    "list": (fan_in_and_fan_out, ([1],), TypeError, "tensor must be a torch.Tensor of two axes or more, got [1] (list"),
    "one axis": (fan_in_and_fan_out, (torch.empty(3),), ValueError, "tensor must have two axes or more, got torch.flo"),
    "gain": (xavier_uniform_, (W, 0.0), ValueError, "gain must be a number in (0, inf), got 0.0"),
    "normal gain": (xavier_normal_, (W, -1.0), ValueError, "gain must be a number in (0, inf), got -1.0"),
    "mode": (kaiming_uniform_, (W, 0.0, "fan"), ValueError, "mode must be one of 'fan_in', 'fan_out', got 'fan' (str)"),
    "activation": (kaiming_normal_, (W, 0.0, "fan_in", "swish"), ValueError, "nonlinearity must be one of 'linear', '"),
    "name": (calculate_gain, ("swish",), ValueError, "nonlinearity must be one of 'linear', 'sigmoid', 'tanh', 'relu'"),
    "param": (calculate_gain, ("leaky_relu", math.inf), ValueError, "param must be a number in (-inf, inf), got inf"),
    "biases": (default_bound_, (torch.empty(3),), ValueError, "tensor must have two axes or more, got torch.float32"),
    "model": (signal_spread, (nn.Linear(1, 1), W), TypeError, "model must be a torch.nn.Sequential, got Linear("),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
