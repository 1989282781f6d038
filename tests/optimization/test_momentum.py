"""Mirrors dlref/optimization/momentum.py."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.optimization import Momentum, Nesterov, ewma, lookahead, trajectory

CASES = {
    "momentum": (Momentum, {"momentum": 0.9}, {"momentum": 0.9}),
    "none": (Momentum, {"momentum": 0.0}, {}),
    "dampened": (Momentum, {"momentum": 0.8, "dampening": 0.8}, {"momentum": 0.8, "dampening": 0.8}),
    "decayed": (Momentum, {"momentum": 0.5, "weight_decay": 0.1}, {"momentum": 0.5, "weight_decay": 0.1}),
    "climbing": (Momentum, {"maximize": True, "lr": 1e-4}, {"momentum": 0.9, "maximize": True, "lr": 1e-4}),
    "nesterov": (Nesterov, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}),
    "nesterov without": (Nesterov, {"momentum": 0.0}, {"momentum": 0.0}),
    "nesterov decayed": (Nesterov, {"weight_decay": 0.1}, {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
    "nesterov climbing": (
        Nesterov,
        {"maximize": True, "lr": 1e-4},
        {"momentum": 0.9, "maximize": True, "lr": 1e-4, "nesterov": True},
    ),
}


@pytest.mark.verifies("eq-momentum", "eq-nesterov")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_follows_torch_for_300_steps(case, dtype, tolerance, follows_torch):
    kind, ours, theirs = CASES[case]
    follows_torch(kind, torch.optim.SGD, {"lr": 0.05, **ours}, {"lr": 0.05, **theirs}, dtype, tolerance)


@pytest.mark.verifies("eq-momentum", "eq-nesterov")
def test_two_steps_by_hand():
    for kind, second in ((Momentum, 1 - 0.2 - 0.1 * (0.5 * 2 + 1.6)), (Nesterov, None)):
        theta = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        optimizer = kind([theta], lr=0.1, momentum=0.5)
        points = []
        for _ in range(2):
            optimizer.zero_grad()
            theta.square().sum().backward()
            optimizer.step()
            points.append(theta.item())
        if kind is Momentum:
            assert points == pytest.approx([0.8, second])
        else:
            # v1 = g1 = 2, theta1 = 1 - 0.1 (2 + 1) = 0.7; g2 = 1.4, v2 = 2.4, theta2 = 0.7 - 0.1 (1.4 + 1.2)
            assert points == pytest.approx([0.7, 0.44])


@pytest.mark.parametrize("kind", [Momentum, Nesterov])
def test_groups_may_differ_in_momentum(kind, close):
    a, b = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    b.load_state_dict(a.state_dict())
    for model, make in (
        (a, lambda p: kind(p, lr=0.1)),
        (b, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=kind is Nesterov)),
    ):
        rule = make([{"params": [model.weight]}, {"params": [model.bias], "momentum": 0.3}])
        for _ in range(5):
            rule.zero_grad()
            model(torch.ones(1, 3, dtype=torch.float64)).square().sum().backward()
            rule.step()
    close(a.state_dict(), b.state_dict())


@pytest.mark.parametrize("kind", [Momentum, Nesterov])
def test_steps_as_every_rule(kind, steps_as_told, exchanges_state):
    steps_as_told(kind)
    theirs = {"lr": 0.05, "momentum": 0.9, "nesterov": kind is Nesterov}
    exchanges_state(kind, torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}, theirs)


def test_defaults_are_written_down():
    group = Momentum([nn.Parameter(torch.ones(1))]).param_groups[0]
    assert {k: v for k, v in group.items() if k != "params"} == {
        "lr": 1e-3, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False
    }  # fmt: skip
    group = Nesterov([nn.Parameter(torch.ones(1))]).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["maximize"]) == (1e-3, 0.9, True, False)


@pytest.mark.verifies("eq-lookahead", "eq-lookahead-is-nesterov")
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_framework_form_moves_the_lookahead_point(momentum, close):
    A = torch.tensor([[2.0, 0.3], [0.3, 0.5]], dtype=torch.float64)

    def f(x):
        return (x @ A @ x) / 2 + x.cos().sum()

    start = torch.tensor([1.5, -2.0], dtype=torch.float64)
    theta, ahead = lookahead(f, start, lr=0.1, momentum=momentum, steps=50)
    assert theta.shape == ahead.shape == (51, 2)
    close(ahead, trajectory(f, start, lambda p: Nesterov(p, lr=0.1, momentum=momentum), steps=50))
    close(theta[0], start)
    close(theta[1], start - 0.1 * torch.func.grad(f)(start))
    close(ahead[2], theta[2] - momentum * (theta[1] - theta[2]))


@pytest.mark.verifies("eq-heavy-ball", "eq-two-forms")
def test_three_ways_to_write_momentum_walk_the_same_path(close):
    eta, mu = 0.1, 0.8
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)

    def f(x):
        return (x**2 * torch.tensor([1.0, 0.1])).sum()

    path = trajectory(f, start, lambda p: Momentum(p, lr=eta, momentum=mu), steps=30)
    theta, update = start, torch.zeros(2)
    average, v = start, torch.zeros(2)
    for point in path[1:]:
        update = mu * update + eta * torch.func.grad(f)(theta)
        theta = theta - update
        close(theta, point)
        v = mu * v + (1 - mu) * torch.func.grad(f)(average)  # the moving average wants a larger learning rate
        average = average - eta / (1 - mu) * v
        close(average, point)


@pytest.mark.verifies("eq-terminal-velocity")
@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_on_a_plain_the_update_settles(gamma):
    start = torch.zeros(1, dtype=torch.float64)
    path = trajectory(lambda x: 3 * x.sum(), start, lambda p: Momentum(p, lr=0.2, momentum=gamma), steps=300)
    assert (path[-2] - path[-1]).item() == pytest.approx(0.2 * 3 / (1 - gamma))


@pytest.mark.verifies("eq-companion", "eq-rate")
@pytest.mark.parametrize("mu", [0.25, 0.81])
def test_in_a_valley_two_steps_are_a_linear_map_of_radius_root_mu(mu, close):
    low, high = (1 - mu**0.5) ** 2, (1 + mu**0.5) ** 2
    for h in (0.5 * low, 1.01 * low, (low + high) / 2, 0.99 * high, 1.01 * high):
        matrix = torch.tensor([[1 + mu - h, -mu], [1, 0]], dtype=torch.float64)
        start = torch.tensor([1.0], dtype=torch.float64)
        path = trajectory(
            lambda x, h=h: h / 2 * x.square().sum(), start, lambda p: Momentum(p, lr=1.0, momentum=mu), steps=20
        )  # fmt: skip
        for t in range(1, 20):
            close(path[t + 1], matrix[:1] @ torch.cat([path[t], path[t - 1]]))
        radius = torch.linalg.eigvals(matrix).abs().max().item()
        if low < h < high:
            assert radius == pytest.approx(mu**0.5)
        else:
            assert radius > mu**0.5 + 1e-3


@pytest.mark.verifies("eq-ewma", "eq-ewma-sum", "eq-bias-correction")
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.98])
def test_ewma_is_the_weighted_sum(beta, close):
    x = torch.randn(2, 3, 40, dtype=torch.float64)
    plain, corrected = ewma(x, beta, bias_correction=False), ewma(x, beta)
    for t in range(1, 41):
        weights = torch.tensor([(1 - beta) * beta ** (t - s) for s in range(1, t + 1)], dtype=torch.float64)
        close(plain[..., t - 1], x[..., :t] @ weights)
        close(corrected[..., t - 1], x[..., :t] @ weights / weights.sum(), atol=1e-11)


def test_ewma_of_one_value_and_on_another_device(close):
    close(ewma(torch.tensor([3.0]), 0.9), torch.tensor([3.0]), rtol=1e-6)
    assert ewma(torch.ones(2, 3, device="meta"), 0.9).device.type == "meta"


@pytest.mark.verifies("eq-bias-correction")
@given(st.floats(0, 0.999), st.floats(-100, 100))
def test_ewma_of_a_constant(beta, c):
    x = torch.full((20,), c, dtype=torch.float64)
    torch.testing.assert_close(ewma(x, beta), x)
    t = torch.arange(1, 21, dtype=torch.float64)
    torch.testing.assert_close(ewma(x, beta, bias_correction=False), c * (1 - beta**t), atol=1e-10, rtol=1e-10)


def test_ewma_agrees_with_pandas(close):
    import pandas as pd

    x = np.random.default_rng(0).normal(size=100)
    series = pd.Series(x)
    close(ewma(torch.from_numpy(x), 0.9).numpy(), series.ewm(alpha=0.1, adjust=True).mean().to_numpy(copy=True))


@pytest.mark.verifies("eq-effective-length")
@pytest.mark.parametrize("beta", [0.9, 0.98, 0.999])
def test_effective_length_holds_a_share_of_one_minus_one_over_e(beta):
    length = round(1 / (1 - beta))
    impulse = torch.zeros(20 * length, dtype=torch.float64)
    impulse[0] = 1.0
    weights = ewma(impulse, beta, bias_correction=False)
    assert weights[:length].sum().item() == pytest.approx(1 - beta**length, rel=1e-12)
    assert weights[:length].sum().item() == pytest.approx(1 - np.exp(-1), rel=0.05)
    ages = torch.arange(len(weights), dtype=torch.float64)
    assert (weights * ages).sum().item() == pytest.approx(beta / (1 - beta), rel=1e-4), "mean age"


THETA = torch.ones(2)


@pytest.mark.parametrize("kind", [Momentum, Nesterov])
def test_hyperparameters_have_their_intervals(kind, refuses_outside):
    refuses_outside(kind, {"lr": "[0, inf)", "momentum": "[0, 1)", "weight_decay": "[0, inf)"})


@pytest.mark.usefixtures("unchecked")
def test_dampening_is_refused_out_of_range_and_with_nesterov():
    parameter = nn.Parameter(THETA)
    for value in (-0.1, 1.1):
        with pytest.raises(ValueError, match=rf"^dampening must be a number in \[0, 1\], got {value}$"):
            Momentum([parameter], dampening=value)
    Momentum([parameter], dampening=1.0)
    with pytest.raises(ValueError, match=r"^dampening must be 0 with Nesterov's form, got 0\.5$"):
        Nesterov([{"params": [parameter], "dampening": 0.5}])


def square(x):
    return x.square().sum()


def ahead(theta=THETA, lr=0.1, momentum=0.5, steps=1):
    return lookahead(square, theta, lr=lr, momentum=momentum, steps=steps)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ewma([1.0], 0.5), TypeError, "x must be a torch.Tensor of shape (... T), got [1.0] (list)"),
        (lambda: ewma(torch.ones(3).long(), 0.5), TypeError, "x must hold floating-point numbers"),
        (lambda: ewma(torch.ones(0), 0.5), ValueError, "x must not be empty"),
        (lambda: ewma(torch.tensor(1.0), 0.5), ValueError, "x must have shape (..., T)"),
        (lambda: ewma(torch.ones(3), 1.0), ValueError, "beta must be a number in [0, 1), got 1.0"),
        (lambda: ewma(torch.ones(3), -0.1), ValueError, "beta must be a number in [0, 1), got -0.1"),
        (lambda: ahead(theta=torch.ones(2, 2)), ValueError, "theta must have shape (D), got torch.float32 tensor"),
        (lambda: ahead(lr=0), ValueError, "lr must be a number in (0, inf), got 0.0"),
        (lambda: ahead(momentum=1), ValueError, "momentum must be a number in [0, 1), got 1.0"),
        (lambda: ahead(steps=0), ValueError, "steps must be an integer >= 1, got 0"),
    ],
)  # fmt: skip
def test_bad_input_names_the_offender(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1 - 1e-6, 1 - 1e-12])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_average_is_accurate_also_with_a_very_long_memory(beta, dtype):
    """Against twice the digits: 1 - beta ** t would cancel, and in single precision rounding adds up."""
    x = torch.rand(300, dtype=dtype)
    wide, long = x.numpy().astype(np.longdouble), np.longdouble(beta)
    powers = long ** np.arange(300)[::-1].astype(np.longdouble)
    for t in (1, 2, 17, 300):
        weights = powers[-t:]
        plain = (1 - long) * (weights * wide[:t]).sum()
        for corrected in (False, True):
            found = ewma(x, beta, bias_correction=corrected)[t - 1].item()
            exact = plain / ((1 - long) * weights.sum()) if corrected else plain
            assert abs(found - exact) <= 20 * torch.finfo(dtype).eps * exact
    assert ewma(x, beta).dtype == dtype
