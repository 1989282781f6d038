"""Mirrors dlref/optimization/adaptive_learning_rates.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.optimization import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSProp, trajectory

TWINS = {Adagrad: torch.optim.Adagrad, RMSProp: torch.optim.RMSprop, Adam: torch.optim.Adam, AdamW: torch.optim.AdamW}
CASES = {
    "Adagrad": (Adagrad, {}),
    "Adagrad with a falling rate": (Adagrad, {"lr": 0.1, "lr_decay": 0.02, "initial_accumulator_value": 0.3}),
    "Adagrad decayed": (Adagrad, {"lr": 0.05, "weight_decay": 0.1, "eps": 1e-3}),
    "Adagrad climbing": (Adagrad, {"lr": 1e-3, "maximize": True}),
    "RMSProp": (RMSProp, {}),
    "RMSProp centred": (RMSProp, {"lr": 1e-3, "centered": True, "alpha": 0.9, "eps": 1e-2}),
    "RMSProp with momentum": (RMSProp, {"lr": 1e-3, "momentum": 0.7, "weight_decay": 0.1}),
    "RMSProp with all": (
        RMSProp,
        {"lr": 1e-3, "momentum": 0.7, "centered": True, "alpha": 0.95, "eps": 1e-2, "maximize": True},
    ),
    "Adam": (Adam, {"lr": 0.01}),
    "Adam with other betas": (Adam, {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3}),
    "Adam decayed": (Adam, {"lr": 0.01, "weight_decay": 0.1}),
    "AMSGrad": (Adam, {"lr": 0.01, "amsgrad": True, "betas": (0.8, 0.5)}),
    "Adam climbing": (Adam, {"lr": 1e-3, "maximize": True, "weight_decay": 0.1}),
    "AdamW": (AdamW, {"lr": 0.01}),
    "AdamW decayed": (AdamW, {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
    "AdamW climbing": (AdamW, {"lr": 1e-3, "maximize": True}),
}


@pytest.mark.verifies("eq-adagrad", "eq-rmsprop", "eq-adam-moments", "eq-adam", "eq-adamw")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_follows_torch_for_300_steps(case, dtype, tolerance, follows_torch):
    kind, arguments = CASES[case]
    follows_torch(kind, TWINS[kind], arguments, arguments, dtype, tolerance)


@pytest.mark.parametrize("case", CASES)
def test_state_is_exchanged_with_torch(case, exchanges_state):
    kind, arguments = CASES[case]
    exchanges_state(kind, TWINS[kind], arguments, arguments)


@pytest.mark.parametrize("kind", TWINS)
def test_steps_as_every_rule(kind, steps_as_told):
    steps_as_told(kind)


@pytest.mark.verifies("eq-adagrad", "eq-rmsprop", "eq-adam-moments", "eq-adam", "eq-adamw")
@pytest.mark.parametrize("kind", TWINS)
def test_ten_steps_by_the_formula(kind):
    """Written out for numbers, with gradients from 1e-5 to 10."""
    gradients = 10.0 ** np.linspace(-5, 1, 10) * np.array([1, -1] * 5)
    theta = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    rule = kind([theta], lr=0.1)
    point, m, v = 0.7, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        theta.grad = torch.tensor([g])
        rule.step()
        if kind is Adagrad:
            v = v + g * g
            point -= 0.1 * g / (v**0.5 + 1e-10)
        elif kind is RMSProp:
            v = 0.99 * v + 0.01 * g * g
            point -= 0.1 * g / (v**0.5 + 1e-8)
        else:
            point *= 1 - 0.1 * 0.01 if kind is AdamW else 1
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            point -= 0.1 * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
        assert theta.item() == pytest.approx(point, rel=1e-12)


def test_groups_may_differ_in_every_hyperparameter(close):
    for kind, twin, first, second in (
        (Adagrad, torch.optim.Adagrad, {"lr_decay": 0.1, "eps": 0.1}, {"initial_accumulator_value": 0.5}),
        (RMSProp, torch.optim.RMSprop, {"momentum": 0.5, "alpha": 0.8}, {"centered": True, "eps": 0.1}),
        (Adam, torch.optim.Adam, {"betas": (0.5, 0.6)}, {"amsgrad": True, "maximize": True, "eps": 0.1}),
        (AdamW, torch.optim.AdamW, {"weight_decay": 0.5}, {"lr": 0.05}),
    ):
        ends = []
        for make in (kind, twin):
            torch.manual_seed(3)
            a, b = (nn.Parameter(torch.randn(4, dtype=torch.float64)) for _ in range(2))
            rule = make([{"params": [a], **first}], lr=0.02)
            rule.add_param_group({"params": [b], **second})
            if make is torch.optim.Adagrad:  # torch gives a group that is added later no state
                start = torch.full_like(b, second["initial_accumulator_value"])
                rule.state[b] = {"step": torch.tensor(0.0), "sum": start}
            for _ in range(6):
                a.grad, b.grad = torch.randn(2, 4, dtype=torch.float64)
                rule.step()
            ends.append(torch.stack([a, b]).detach())
        close(*ends)


@pytest.mark.parametrize(
    ("kind", "twin", "arguments"),
    [
        (SGD, torch.optim.SGD, {}),
        (Momentum, torch.optim.SGD, {"momentum": 0.9}),
        (Nesterov, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        *((kind, twin, {}) for kind, twin in TWINS.items()),
    ],
)
def test_no_more_memory_than_torch(kind, twin, arguments):
    """Neither what is kept between steps, nor the most that a step holds at a time."""

    def measured(make, **settings):
        theta = nn.Parameter(torch.ones(100_000))
        rule = make([theta], lr=0.1, weight_decay=0.1, **settings)
        for _ in range(2):
            theta.grad = torch.ones(100_000)
            rule.step()
        kept = sum(t.numel() * t.element_size() for t in rule.state[theta].values() if torch.is_tensor(t))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            rule.step()
        held, most = 0, 0
        events = profile.profiler.kineto_results.events()
        for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
            held += event.nbytes()
            most = max(most, held)
        assert most >= 400_000, "the gradient with weight decay, or the square root, is a tensor of its own"
        return kept, most

    ours = measured(kind, **{k: v for k, v in arguments.items() if k == "momentum"})
    theirs = measured(twin, **arguments)
    assert ours[0] <= theirs[0]
    assert ours[1] <= theirs[1] + 1000


@pytest.mark.verifies("eq-first-step")
@given(st.floats(1e-4, 1e4), st.booleans())
def test_first_step_does_not_know_how_large_the_gradient_is(size, negative):
    start, slope = torch.tensor([0.5], dtype=torch.float64), -size if negative else size
    for rule, length in (
        (lambda p: Adam(p, lr=0.1, eps=0.0), 0.1),
        (lambda p: Adagrad(p, lr=0.1, eps=0.0), 0.1),
        (lambda p: RMSProp(p, lr=0.1, alpha=0.99, eps=0.0), 1.0),
    ):
        path = trajectory(lambda t: slope * t.sum(), start, rule, steps=1)
        assert (path[0] - path[1]).item() == pytest.approx(length * np.sign(slope), rel=1e-9)


@pytest.mark.verifies("eq-scale-free")
@pytest.mark.parametrize("kind", [Adagrad, RMSProp, Adam])
def test_scaling_a_parameters_gradient_changes_nothing(kind, close):
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    paths = [
        trajectory(lambda t, c=c: c * (t**4 + t.sin()).sum(), start, lambda p: kind(p, lr=0.05, eps=0.0), steps=30)
        for c in (1.0, 1e-3, 1e5)
    ]
    close(paths[0], paths[1])
    close(paths[0], paths[2])


@pytest.mark.verifies("eq-adagrad-rate")
@pytest.mark.parametrize("slope", [0.01, 1.0, 50.0])
def test_under_a_constant_gradient_adagrads_rate_falls_like_the_root(slope):
    start = torch.zeros(1, dtype=torch.float64)
    path = trajectory(lambda t: slope * t.sum(), start, lambda p: Adagrad(p, lr=0.3, eps=0.0), steps=50)
    t = torch.arange(1, 51, dtype=torch.float64)
    torch.testing.assert_close((path[:-1] - path[1:])[:, 0], 0.3 / t.sqrt())


@pytest.mark.verifies("eq-expected-moment")
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_moments_of_noise_are_short_of_the_mean_by_what_the_correction_mends(beta):
    noise = 2 + np.random.default_rng(0).normal(size=(20_000, 12))
    m = np.zeros(20_000)
    for t in range(1, 13):
        m = beta * m + (1 - beta) * noise[:, t - 1]
        standard_error = m.std() / len(m) ** 0.5
        assert m.mean() == pytest.approx(2 * (1 - beta**t), abs=4.5 * standard_error)


@pytest.mark.verifies("eq-mistaken-rate")
def test_dividing_by_one_minus_beta_changes_the_rate():
    """A constant gradient of one: the step of the mistaken form over eta, against the formula."""
    b1, b2, m, v = 0.9, 0.999, 0.0, 0.0
    for t in range(1, 200):
        m, v = b1 * m + (1 - b1), b2 * v + (1 - b2)
        step = (m / (1 - b1)) / (v / (1 - b2)) ** 0.5
        expected = (1 - b1**t) / (1 - b1) * ((1 - b2) / (1 - b2**t)) ** 0.5
        assert step == pytest.approx(expected, rel=1e-9)


def test_eps_stands_outside_the_root():
    theta = nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
    for kind, v in ((Adagrad, 4e-6), (RMSProp, 4e-8), (Adam, 4e-6)):
        theta.data.zero_()
        rule = kind([theta], lr=1.0, eps=1e-3)
        theta.grad = torch.tensor([2e-3], dtype=torch.float64)
        rule.step()
        assert -theta.item() == pytest.approx(2e-3 / (v**0.5 + 1e-3), rel=1e-9)


def test_weight_decay_of_adamw_does_not_depend_on_the_gradients_but_that_of_adam_does():
    for kind, alike in ((AdamW, True), (Adam, False)):
        shrunk = []
        for size in (1e-2, 1e2):
            ends = []
            for decay in (0.0, 0.1):
                theta = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
                rule = kind([theta], lr=0.01, weight_decay=decay)
                for _ in range(10):
                    theta.grad = torch.tensor([size], dtype=torch.float64)
                    rule.step()
                ends.append(theta.item())
            shrunk.append(ends[0] - ends[1])
        assert (shrunk[0] == pytest.approx(shrunk[1], rel=1e-3)) == alike


DEFAULTS = {
    Adagrad: {"lr": 1e-2, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10},
    RMSProp: {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
    Adam: {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "amsgrad": False,
        "decoupled_weight_decay": False,
    },
    AdamW: {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False,
        "decoupled_weight_decay": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFAULTS)
def test_defaults_are_written_down_and_torchs(kind):
    group = kind([nn.Parameter(torch.ones(1))]).param_groups[0]
    assert {k: v for k, v in group.items() if k != "params"} == {**DEFAULTS[kind], "maximize": False}
    torchs = TWINS[kind]([nn.Parameter(torch.ones(1))]).param_groups[0]
    assert {k: torchs[k] for k in DEFAULTS[kind]} == DEFAULTS[kind]


COMMON = {"lr": "[0, inf)", "weight_decay": "[0, inf)", "eps": "[0, inf)"}
INTERVALS = {
    Adagrad: {**COMMON, "lr_decay": "[0, inf)", "initial_accumulator_value": "[0, inf)"},
    RMSProp: {**COMMON, "alpha": "[0, 1]", "momentum": "[0, inf)"},
    Adam: COMMON,
    AdamW: COMMON,
}


@pytest.mark.parametrize("kind", INTERVALS)
def test_hyperparameters_have_their_intervals(kind, refuses_outside):
    refuses_outside(kind, INTERVALS[kind])


THETA = nn.Parameter(torch.ones(2))
REFUSED = {
    "beta of one": ((1.0, 0.9), ValueError, "betas[0] must be a number in [0, 1), got 1.0"),
    "negative beta": ((0.0, -0.1), ValueError, "betas[1] must be a number in [0, 1), got -0.1"),
    "one beta": (0.9, TypeError, "betas must be two numbers in [0, 1), got 0.9 (float)"),
    "three betas": ((0.9, 0.9, 0.9), TypeError, "betas must be two numbers in [0, 1), got (0.9, 0.9, 0.9) (tuple)"),
}


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, kind, refuses):
    betas, error, message = REFUSED[case]
    refuses(lambda: kind([THETA], betas=betas), (), error, message)
