"""What the tests of all update rules share: a small network with awkward gradients, and torch's rule beside ours."""

import copy
import io
import re

import numpy as np
import pytest
import torch
from torch import nn


def network(dtype=torch.float64):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype)


def groups_of(model):
    return [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters(), "weight_decay": 0.03}]


def run(model, rule, steps, start=0, schedule=None):
    """Noisy gradients: some parameters get none, some get zero, some get one row in two."""
    dtype = model[0].weight.dtype
    for step in range(start, start + steps):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step), dtype=dtype)
        rule.zero_grad()
        (model(x) - x[:, :2].sin()).square().mean().backward()
        if step % 3 == 0:
            model[0].bias.grad = None
        if step % 5 == 0:
            model[2].weight.grad.zero_()
        model[0].weight.grad[step % 2 :: 2] = 0
        rule.step()
        if schedule is not None:
            schedule.step()


@pytest.fixture
def follows_torch(close):
    """300 steps through a schedule, with the state saved and restored on the way, in two groups and in one."""

    def follow(kind, twin, ours, theirs, dtype, tolerance):
        for groups in (lambda model: model.parameters(), groups_of):
            ends = []
            for make, arguments in ((kind, ours), (twin, theirs)):
                model = network(dtype)
                first = make(groups(model), **arguments)
                run(model, first, 150, 0, torch.optim.lr_scheduler.StepLR(first, 50, gamma=0.5))
                file = io.BytesIO()
                torch.save(first.state_dict(), file)
                file.seek(0)
                second = make(groups(model), **arguments)
                second.load_state_dict(torch.load(file, weights_only=True))
                run(model, second, 150, 150, torch.optim.lr_scheduler.ExponentialLR(second, 0.99))
                ends.append(model.state_dict())
            close(*ends, rtol=tolerance, atol=tolerance)
            assert not torch.allclose(ends[0]["0.weight"], network(dtype)[0].weight, atol=1e-4)

    return follow


@pytest.fixture
def exchanges_state(close):
    """A run that begins with one rule and goes on with the other's state is torch's run, whichever comes first."""

    def exchange(kind, twin, ours, theirs):
        makers = {"ours": lambda p: kind(p, **ours), "theirs": lambda p: twin(p, **theirs)}
        for first, second in (("ours", "theirs"), ("theirs", "ours"), ("ours", "ours")):
            a, whole = network(), network()
            one = makers[first](a.parameters())
            run(a, one, 20)
            two = makers[second](a.parameters())
            two.load_state_dict(copy.deepcopy(one.state_dict()))
            run(a, two, 20, 20)
            judge = makers["theirs"](whole.parameters())
            run(whole, judge, 40)
            close(a.state_dict(), whole.state_dict())
            for key, state in judge.state_dict()["state"].items():
                close({**two.state_dict()["state"][key]}, {**state})

    return exchange


@pytest.fixture
def refuses_outside(unchecked):
    """Each hyperparameter is taken on its interval, and refused outside and at NaN by an error that names it."""

    def check(kind, intervals):
        theta = nn.Parameter(torch.ones(2))
        for name, interval in intervals.items():
            low, high = (float(bound) for bound in interval[1:-1].split(","))
            width = 1.0 if np.isinf(high) else high - low
            inside = {low: interval[0] == "[", high: interval[-1] == "]", low + width / 3: True}
            inside |= {low - 1e-9: False, high + 1e-9: False, float("nan"): False}
            for value, taken in inside.items():
                for make in (
                    lambda v, n=name: kind([theta], **{n: v}),
                    lambda v, n=name: kind([{"params": [theta], n: v}]),
                ):
                    if taken:
                        assert make(value).param_groups[0][name] == value
                        continue
                    message = re.escape(f"{name} must be a number in {interval}, got {value}")
                    with pytest.raises(ValueError, match=f"^{message}$"):
                        make(value)
            message = re.escape(f"{name} must be a number in {interval}, got 'much' (str)")
            with pytest.raises(TypeError, match=f"^{message}$"):
                kind([theta], **{name: "much"})

    return check


@pytest.fixture
def steps_as_told(close):
    """What every rule does alike: closure, gradients left alone, no move at rate zero."""

    def check(kind):
        theta = nn.Parameter(torch.tensor([3.0]))
        rule, calls = kind([theta], lr=0.1), []

        def closure():
            rule.zero_grad()
            loss = theta.square().sum()
            loss.backward()
            calls.append(loss.item())
            return loss

        assert rule.step(closure).item() == 9.0
        assert calls == [9.0]
        assert theta.item() < 3
        assert theta.requires_grad
        assert rule.step() is None
        for settings in ({"maximize": True}, {"maximize": False}, {"weight_decay": 0.5}):
            theta = nn.Parameter(torch.tensor([1.0, 2.0]))
            rule = kind([theta], lr=0.1, **settings)
            for _ in range(2):
                theta.grad = torch.tensor([3.0, 4.0])
                rule.step()
                assert theta.grad.tolist() == [3.0, 4.0]
            assert bool((theta.detach() > torch.tensor([1.0, 2.0])).all()) == settings.get("maximize", False)

    return check
