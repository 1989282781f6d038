"""Mirrors dlref/generalization/dropout.py."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.generalization import Dropout, drop_units, monte_carlo, thinned_networks

DOUBLE = torch.float64


@pytest.mark.verifies("eq-inverted-dropout")
@given(st.floats(0, 1), st.sampled_from([torch.float32, DOUBLE]), st.integers(0, 100))
def test_is_torchs_by_mask_forward_and_backward(p, dtype, seed):
    ends = []
    for function in (drop_units, F.dropout):
        torch.manual_seed(seed)
        x = torch.linspace(-2, 2, 60, dtype=dtype).reshape(3, 4, 5).requires_grad_()
        y = function(x, p, training=True)
        (y * torch.arange(60, dtype=dtype).reshape(3, 4, 5)).sum().backward()
        ends.append((y.detach(), x.grad))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-6)


@pytest.mark.verifies("eq-inverted-dropout", "eq-dropout-moments")
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_mean_is_kept_and_variance_is_p_over_one_minus_p(p):
    y = drop_units(torch.full((400_000,), 3.0, dtype=DOUBLE), p)
    spread = 3 * math.sqrt(p / (1 - p))
    assert y.mean().item() == pytest.approx(3, abs=4 * spread / math.sqrt(400_000))
    assert y.std().item() == pytest.approx(spread, rel=0.01)
    kept = 3 / (1 - p)
    assert set(y.tolist()) == {0.0, y.max().item()}
    assert y.max().item() == pytest.approx(kept)


def test_gradient_is_that_of_the_same_mask(close):
    x = torch.randn(50, dtype=DOUBLE, requires_grad=True)
    y = drop_units(x, 0.4)
    close(torch.autograd.grad(y.sum(), x)[0], (y != 0).double() / 0.6)


def test_nothing_is_dropped_in_evaluation(close):
    x = torch.randn(9)
    assert drop_units(x, 0.7, training=False) is x
    assert drop_units(x, 0.0) is x
    close(drop_units(x, 1.0), torch.zeros(9))
    assert (drop_units(torch.ones(1000)) == 0).double().mean().item() == pytest.approx(0.5, abs=0.06)


def test_layer(close):
    layer = Dropout(0.25)
    x = torch.ones(500)
    torch.manual_seed(3)
    ours = layer(x)
    torch.manual_seed(3)
    close(ours, nn.Dropout(0.25)(x))
    assert layer.eval()(x) is x
    assert repr(layer) == "Dropout(p=0.25)"
    assert Dropout().p == nn.Dropout().p


@pytest.mark.verifies("eq-thinned-mean")
@given(n=st.integers(1, 8), p=st.floats(0, 1))
def test_all_masks_once_with_their_probabilities(n, p):
    masks, probabilities = thinned_networks(n, p)
    assert masks.shape == (2**n, n)
    assert len({tuple(row) for row in masks.tolist()}) == 2**n
    assert probabilities.sum().item() == pytest.approx(1)
    torch.testing.assert_close(probabilities @ masks, torch.full((n,), 1 - p, dtype=DOUBLE))
    whole = probabilities[masks.sum(1) == n].item()
    assert whole == pytest.approx((1 - p) ** n)


def test_half_is_the_default():
    torch.testing.assert_close(thinned_networks(3)[1], torch.full((8,), 1 / 8, dtype=DOUBLE))


@pytest.mark.verifies("eq-geometric-mean")
def test_halved_weights_are_the_geometric_mean_of_all_softmaxes(close):
    torch.manual_seed(0)
    W, b, x = torch.randn(3, 6, dtype=DOUBLE), torch.randn(3, dtype=DOUBLE), torch.randn(6, dtype=DOUBLE)
    masks, probabilities = thinned_networks(6)
    logs = ((masks * x) @ W.T + b).log_softmax(1)
    close((probabilities @ logs).softmax(0), (W @ x / 2 + b).softmax(0))


@pytest.mark.verifies("eq-dropout-ridge")
def test_linear_regression_with_dropout_is_ridge_in_expectation(close):
    torch.manual_seed(0)
    X, y, w = torch.randn(9, 4, dtype=DOUBLE), torch.randn(9, dtype=DOUBLE), torch.randn(4, dtype=DOUBLE)
    p = 0.3
    masks, probabilities = thinned_networks(4, p)
    losses = torch.stack([((X * mask / (1 - p)) @ w - y).square().sum() for mask in masks])
    penalty = p / (1 - p) * (X.square().sum(0) * w.square()).sum()
    close(probabilities @ losses, (X @ w - y).square().sum() + penalty)


def test_monte_carlo_draws_and_puts_everything_back():
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(4), Dropout(0.5), nn.Linear(4, 3), nn.Dropout(0.2))
    net[0].eval()
    x = torch.randn(6, 4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = monte_carlo(net, x, 4000)
    assert found.shape == (4000, 6, 3)
    assert not found.requires_grad
    assert found.std(0).min() > 0.05
    assert [module.training for module in net] == [False, True, True, True]
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    expected = net.eval()(x).detach()  # the network is linear, so the mean over masks is the network without
    torch.testing.assert_close(found.mean(0), expected, atol=0.08, rtol=0)


def test_modes_are_put_back_after_an_error():
    net = nn.Sequential(Dropout(), nn.Linear(4, 3))
    with pytest.raises(RuntimeError):
        monte_carlo(net, torch.ones(2, 5), 1)
    assert all(module.training for module in net.modules())


REFUSED = {
    "x": (drop_units, ([1.0],), TypeError, "x must be a torch.Tensor of shape (...), got [1.0] (list)"),
    "whole numbers": (drop_units, (torch.ones(2, dtype=torch.int64),), TypeError, "x must hold floating-point numbers"),
    "p": (drop_units, (torch.ones(2), 1.5), ValueError, "p must be a number in [0, 1], got 1.5"),
    "layer": (Dropout, (-0.1,), ValueError, "p must be a number in [0, 1], got -0.1"),
    "too many": (thinned_networks, (21,), ValueError, "n must be an integer in [1, 20], got 21"),
    "thinned p": (thinned_networks, (2, 2.0), ValueError, "p must be a number in [0, 1], got 2.0"),
    "model": (monte_carlo, (1, torch.ones(2), 3), TypeError, "model must be a torch.nn.Module, got 1 (int)"),
    "draws": (monte_carlo, (Dropout(), torch.ones(2), 0), ValueError, "draws must be an integer >= 1, got 0"),
    "no dropout": (
        monte_carlo, (nn.Linear(2, 2), torch.ones(2), 3), ValueError, "model must have a dropout layer, got none in L"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])


def test_in_place():
    x = torch.ones(50)
    layer = Dropout(0.5, inplace=True)
    assert layer(x) is x
    assert set(x.tolist()) == {0.0, 2.0}
    assert repr(layer) == "Dropout(p=0.5, inplace=True)"
    leaf = torch.ones(3, requires_grad=True)
    assert layer.eval()(leaf) is leaf, "in evaluation nothing is written"
