"""Mirrors dlref/generalization/weight_penalties.py."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Lasso
from torch import nn
from torch.nn import functional as F

from dlref.generalization import (
    ProximalSGD,
    TiedAutoencoder,
    decay_groups,
    l1_penalty,
    l2_penalty,
    soft_threshold,
)
from dlref.optimization import SGD, AdamW

DOUBLE = torch.float64


def weights(seed=0, *shapes):
    torch.manual_seed(seed)
    return [torch.randn(shape, dtype=DOUBLE, requires_grad=True) for shape in shapes or [(3, 4), (3,)]]


@pytest.mark.verifies("eq-l2-cost", "eq-l2-gradient")
def test_l2_gradient_is_the_weights_times_the_strength(close):
    w = weights()
    penalty = l2_penalty(w, 0.3)
    close(penalty, 0.15 * sum((p**2).sum() for p in w))
    close(torch.autograd.grad(penalty, w), tuple(0.3 * p for p in w))
    assert l2_penalty(w, 0.0) == 0


def test_l1_penalty_is_torchs_norm(close):
    w = weights()
    close(l1_penalty(w, 0.2), 0.2 * torch.cat([p.flatten() for p in w]).norm(p=1))
    close(torch.autograd.grad(l1_penalty(iter(w), 0.2), w), tuple(0.2 * p.sign() for p in w))


@pytest.mark.verifies("eq-shrink-factor")
@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32])
def test_coupled_and_decoupled_decay_are_the_penalty_for_gradient_descent(dtype, close):
    """Three ways: the penalty in the loss, the argument of torch's rule, and weights shrunk before the step."""
    lr, strength, ends = 0.1, 0.4, []
    for way in ("penalty", "argument", "shrink"):
        torch.manual_seed(0)
        net = nn.Linear(4, 2).to(dtype)
        x = torch.randn(6, 4, dtype=dtype)
        rule = torch.optim.SGD(net.parameters(), lr=lr, weight_decay=strength if way == "argument" else 0.0)
        for _ in range(50):
            rule.zero_grad()
            loss = (net(x) - x[:, :2] ** 2).square().mean()
            (loss + l2_penalty(net.parameters(), strength) if way == "penalty" else loss).backward()
            if way == "shrink":
                with torch.no_grad():
                    for p in net.parameters():
                        p.mul_(1 - lr * strength)
            rule.step()
        ends.append(net.state_dict())
    tolerance = 1e-12 if dtype == DOUBLE else 1e-6
    close(ends[0], ends[1], rtol=tolerance, atol=tolerance)
    close(ends[0], ends[2], rtol=tolerance, atol=tolerance)


@pytest.mark.verifies("eq-l2-shrinkage")
def test_penalty_shrinks_along_the_axes_of_the_hessian(close):
    torch.manual_seed(0)
    A = torch.randn(20, 5, dtype=DOUBLE)
    H, best = A.T @ A, torch.randn(5, dtype=DOUBLE)
    h, Q = torch.linalg.eigh(H)
    penalised = torch.linalg.solve(H + 3.0 * torch.eye(5, dtype=DOUBLE), H @ best)
    close(Q.T @ penalised, h / (h + 3.0) * (Q.T @ best))


@pytest.mark.verifies("eq-soft-threshold")
@given(st.floats(-10, 10), st.floats(0, 5))
def test_soft_threshold_is_the_minimum(x, threshold):
    found = soft_threshold(torch.tensor([x], dtype=DOUBLE), threshold).item()
    best = minimize_scalar(lambda z: (z - x) ** 2 / 2 + threshold * abs(z), bounds=(-11, 11), method="bounded").x
    assert found == pytest.approx(best, abs=1e-4)
    assert found == pytest.approx(F.softshrink(torch.tensor(x, dtype=DOUBLE), threshold).item(), abs=1e-12)


@pytest.mark.verifies("eq-proximal-step")
def test_proximal_descent_finds_the_lasso():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 12))
    y = X[:, :3] @ [2.0, -1.0, 0.5] + 0.3 * rng.normal(size=60)
    theirs = Lasso(alpha=0.1, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, y).coef_
    w = torch.zeros(12, dtype=DOUBLE, requires_grad=True)
    rule = ProximalSGD([w], lr=0.3, l1=0.1)
    inputs, targets = torch.tensor(X), torch.tensor(y)
    for _ in range(2000):
        rule.zero_grad()
        ((inputs @ w - targets).square().mean() / 2).backward()
        rule.step()
    np.testing.assert_allclose(w.detach(), theirs, atol=1e-8)
    assert 0 < (w == 0).sum() == (theirs == 0).sum() < 12


def test_without_l1_it_is_gradient_descent_and_state_is_kept(close):
    ends = []
    for kind, extra in ((SGD, {}), (ProximalSGD, {}), (ProximalSGD, {"l1": 0.0})):
        (w,) = weights(0, (5,))
        rule = kind([w], lr=0.1, weight_decay=0.2, maximize=True, **extra)
        for _ in range(3):
            w.grad = torch.cos(w.detach())
            rule.step()
        ends.append(w.detach())
    close(ends[0], ends[1])
    close(ends[0], ends[2])
    (w,) = weights(0, (5,))
    first = ProximalSGD([{"params": [w], "l1": 0.5}], lr=0.1)
    second = ProximalSGD([w])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.param_groups[0]["l1"] == 0.5
    assert second.param_groups[0]["lr"] == 0.1


def test_groups_have_their_own_l1(close):
    a, b = weights(1, (4,), (4,))
    rule = ProximalSGD([{"params": [a]}, {"params": [b], "l1": 0.0}], lr=0.1, l1=100.0)
    before = b.detach().clone()
    a.grad, b.grad = torch.zeros(4, dtype=DOUBLE), torch.zeros(4, dtype=DOUBLE)
    rule.step()
    assert (a == 0).all()
    close(b.detach(), before)


def test_only_matrices_and_kernels_decay(close):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2), nn.Linear(2, 2))
    net[4].requires_grad_(False)
    decay, rest = decay_groups(net, 0.5)
    assert {id(p) for p in decay["params"]} == {id(net[0].weight), id(net[3].weight)}
    assert {id(p) for p in rest["params"]} == {id(p) for p in (net[0].bias, *net[1].parameters(), net[3].bias)}
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.5, 0.0)
    before = copy.deepcopy(net.state_dict())
    rule = AdamW(decay_groups(net, 0.5), lr=0.1)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    rule.step()
    close(net[0].weight.detach(), 0.95 * before["0.weight"], rtol=1e-6, atol=1e-7)
    close(net[0].bias.detach(), before["0.bias"])


@pytest.mark.verifies("eq-shared-gradient")
def test_gradient_of_a_shared_weight_is_the_sum_over_its_places(close):
    (w,) = weights(0, (3,))
    x = torch.randn(6, dtype=DOUBLE)
    copies = w.detach().repeat(4, 1).requires_grad_()  # one kernel a position
    apart = torch.stack([copies[i] @ x[i : i + 3] for i in range(4)])
    together = F.conv1d(x[None, None], w[None, None])[0, 0]
    close(apart, together)
    apart.sin().sum().backward()
    together.sin().sum().backward()
    close(w.grad, copies.grad.sum(0))


@pytest.mark.verifies("eq-tied-autoencoder")
def test_tied_autoencoder(close):
    torch.manual_seed(0)
    net = TiedAutoencoder(7, 3).double()
    assert sorted(name for name, _ in net.named_parameters()) == ["bias", "out_bias", "weight"]
    assert sum(p.numel() for p in net.parameters()) == 7 * 3 + 3 + 7
    assert net.weight.shape == (3, 7)
    assert (net.bias == 0).all()
    assert (net.out_bias == 0).all()
    with torch.no_grad():
        net.bias.normal_()
        net.out_bias.normal_()
    x = torch.randn(5, 7, dtype=DOUBLE)
    W, b, c = net.weight, net.bias, net.out_bias
    close(net(x), torch.sigmoid(x @ W.T + b) @ W + c)
    close(net.decode(net.encode(x)), net(x))
    assert torch.autograd.gradcheck(net, (x.requires_grad_(),))


def test_start_of_the_tied_weights_is_glorots():
    torch.manual_seed(0)
    w = TiedAutoencoder(300, 100).weight.detach()
    bound = (6 / 400) ** 0.5
    assert 0.99 * bound < w.abs().max() <= bound
    assert w.var().item() == pytest.approx(2 / 400, rel=0.03)
    assert abs(w.mean().item()) < 0.002


W = [torch.ones(2)]
REFUSED = {
    "no weights": (l2_penalty, ([], 0.1), ValueError, "parameters must hold at least one tensor, got none"),
    "no weights l1": (l1_penalty, ([], 0.1), ValueError, "parameters must hold at least one tensor, got none"),
    "l2": (l2_penalty, (W, -0.1), ValueError, "weight_decay must be a number in [0, inf), got -0.1"),
    "l1": (l1_penalty, (W, -0.1), ValueError, "strength must be a number in [0, inf), got -0.1"),
    "x": (soft_threshold, ([1.0], 0.1), TypeError, "x must be a torch.Tensor of shape (...), got [1.0] (list)"),
    "threshold": (soft_threshold, (W[0], -0.1), ValueError, "threshold must be a number in [0, inf), got -0.1"),
    "l1 of the rule": (lambda: ProximalSGD(W, l1=-1.0), (), ValueError, "l1 must be a number in [0, inf), got -1.0"),
    "lr": (lambda: ProximalSGD(W, lr=-1.0), (), ValueError, "lr must be a number in [0, inf), got -1.0"),
    "decay": (lambda: ProximalSGD(W, weight_decay=-1.0), (), ValueError, "weight_decay must be a number in [0, inf)"),
    "model": (decay_groups, (W, 0.1), TypeError, "model must be a torch.nn.Module, got [tensor([1., 1.])] (list)"),
    "strength": (decay_groups, (nn.Linear(1, 1), -0.1), ValueError, "weight_decay must be a number in [0, inf), got"),
    "inputs": (TiedAutoencoder, (0, 3), ValueError, "in_features must be an integer >= 1, got 0"),
    "hidden": (TiedAutoencoder, (3, 0), ValueError, "hidden_features must be an integer >= 1, got 0"),
    "wrong length": (TiedAutoencoder(3, 2), (torch.ones(1, 4),), ValueError, "x must have shape (B, N=3), got torch."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
