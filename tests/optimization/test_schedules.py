"""Mirrors dlref/optimization/schedules.py."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from dlref.optimization import (
    SGD,
    Adam,
    CosineDecay,
    ExponentialDecay,
    HalveOnRise,
    InverseTimeDecay,
    Momentum,
    MomentumSchedule,
    Schedule,
    StepDecay,
)


def rule(kind=SGD, **settings):
    return kind([{"params": [nn.Parameter(torch.ones(1))], "lr": lr, **settings} for lr in (0.8, 0.05)])


def rates(optimizer, schedule, steps):
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        assert schedule.get_last_lr() == found[-1]
        optimizer.step()
        schedule.step()
    return np.array(found)


CASES = {
    "step": (lambda o: StepDecay(o, 4, 0.3), lambda o: lr_scheduler.StepLR(o, 4, 0.3)),
    "step, default": (lambda o: StepDecay(o, 3), lambda o: lr_scheduler.StepLR(o, 3)),
    "exponential": (lambda o: ExponentialDecay(o, 0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "inverse": (
        lambda o: InverseTimeDecay(o, 0.7),
        lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + 0.7 * t)),
    ),
    "cosine": (lambda o: CosineDecay(o, 20, 0.01), lambda o: lr_scheduler.CosineAnnealingLR(o, 20, 0.01)),
    "cosine, default": (lambda o: CosineDecay(o, 20), lambda o: lr_scheduler.CosineAnnealingLR(o, 20)),
    "warm-up": (
        lambda o: Schedule(o, warmup=5),
        lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 6, total_iters=5),
    ),
    "none": (Schedule, lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
}


@pytest.mark.verifies("eq-step-decay", "eq-exponential-decay", "eq-inverse-decay", "eq-cosine", "eq-warmup")
@pytest.mark.parametrize("case", CASES)
def test_follows_torchs_schedule(case):
    ours, theirs = CASES[case]
    a, b = rule(), rule()
    np.testing.assert_allclose(rates(a, ours(a), 20), rates(b, theirs(b), 20), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda o, **k: StepDecay(o, 4, 0.3, **k),
        lambda o, **k: ExponentialDecay(o, 0.9, **k),
        lambda o, **k: InverseTimeDecay(o, 0.7, **k),
        lambda o, **k: CosineDecay(o, 9, 0.01, **k),
    ],
)
def test_after_a_warm_up_the_schedule_begins(make):
    a, b = rule(), rule()
    warm = rates(a, make(a, warmup=4), 16)
    np.testing.assert_allclose(warm[:4], np.outer([0.2, 0.4, 0.6, 0.8], [0.8, 0.05]))
    np.testing.assert_allclose(warm[4:], rates(b, make(b), 12))


def test_cosine_stays_at_its_end_where_torchs_climbs():
    a, b = rule(), rule()
    ours, theirs = rates(a, CosineDecay(a, 5, 0.01), 11), rates(b, lr_scheduler.CosineAnnealingLR(b, 5, 0.01), 11)
    np.testing.assert_allclose(ours[5:], 0.01)
    np.testing.assert_allclose(theirs[-1], [0.8, 0.05])


@pytest.mark.parametrize("case", ["step", "cosine", "warm-up"])
def test_state_saved_and_restored_goes_on_as_without_the_break(case):
    make, _ = CASES[case]
    whole = rule()
    expected = rates(whole, make(whole), 12)
    a = rule()
    first = make(a)
    start = rates(a, first, 5)
    b = rule()
    second = make(b)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    np.testing.assert_allclose(np.concatenate([start, rates(b, second, 7)]), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda o, **k: StepDecay(o, 2, 0.3, **k),
        lambda o, **k: ExponentialDecay(o, 0.9, **k),
        lambda o, **k: InverseTimeDecay(o, 0.7, **k),
        lambda o, **k: CosineDecay(o, 9, **k),
    ],
)
def test_last_epoch_goes_on_from_there(make):
    a = rule()
    expected = rates(a, make(a, warmup=2), 8)
    b = rule()
    for group in b.param_groups:
        group["initial_lr"] = group["lr"]
    np.testing.assert_allclose(rates(b, make(b, warmup=2, last_epoch=4), 3), expected[5:])
    c = rule(Momentum)
    for group in c.param_groups:
        group["initial_lr"] = group["lr"]
    MomentumSchedule(c, interval=1, last_epoch=2)
    assert c.param_groups[0]["momentum"] == pytest.approx(1 - 1 / 8)


def test_halving_by_hand():
    optimizer = rule()
    schedule = HalveOnRise(optimizer)
    seen = []
    for loss in (3.0, 2.0, 2.5, 2.5, 2.4, torch.tensor(2.6), math.inf, 1.0):
        schedule.step(loss)
        seen.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(seen, [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.1, 0.1])
    assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    assert schedule.last_epoch == 8
    schedule.step()
    assert schedule.get_last_lr()[0] == pytest.approx(0.1)


def test_halving_stops_at_the_least_and_never_raises_a_rate():
    optimizer = rule()
    schedule = HalveOnRise(optimizer, factor=0.1, min_lr=0.06)
    for loss in (1.0, 2.0, 3.0):
        schedule.step(loss)
    assert [group["lr"] for group in optimizer.param_groups] == [0.06, 0.05]


def test_a_loss_that_is_no_number_has_risen_and_is_not_remembered():
    optimizer = rule(lr=1.0)
    schedule = HalveOnRise(optimizer)
    for loss, expected in ((2.0, 1.0), (math.nan, 0.5), (1.9, 0.5), (1.95, 0.25)):
        schedule.step(loss)
        assert optimizer.param_groups[0]["lr"] == expected


def test_halving_state_saved_and_restored():
    a, b = rule(), rule()
    first, second = HalveOnRise(a), HalveOnRise(b, factor=0.9)
    first.step(1.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.step(2.0)
    assert b.param_groups[0]["lr"] == pytest.approx(0.4)


@pytest.mark.verifies("eq-momentum-schedule")
@pytest.mark.parametrize("kind", [Momentum, Adam, torch.optim.Adam])
def test_momentum_rises_to_its_maximum(kind):
    optimizer = rule(kind)
    schedule = MomentumSchedule(optimizer, 0.93, interval=3)
    for t in range(40):
        expected = min(1 - 2 ** (-1 - math.log2(t // 3 + 1)), 0.93)  # as the paper writes it
        for group, lr in zip(optimizer.param_groups, (0.8, 0.05), strict=True):
            assert (group["betas"][0] if "betas" in group else group["momentum"]) == pytest.approx(expected)
            assert group["lr"] == lr
            assert group.get("betas", (0, 0.999))[1] == 0.999
        optimizer.step()
        schedule.step()


def test_momentum_schedule_beside_a_schedule_of_the_rate():
    optimizer = rule(Momentum)
    momentum, rate = MomentumSchedule(optimizer, interval=1), ExponentialDecay(optimizer, 0.5)
    for _ in range(3):
        optimizer.step()
        rate.step()
        momentum.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(1 - 1 / 8)


def test_defaults_are_written_down():
    schedule = MomentumSchedule(rule(Momentum))
    assert (schedule.max_momentum, schedule.interval, schedule.last_epoch) == (0.99, 250, 0)
    assert (HalveOnRise(rule()).factor, HalveOnRise(rule()).min_lr) == (0.5, 0.0)
    assert [make(rule()).warmup for make in (Schedule, lambda o: CosineDecay(o, 3))] == [0, 0]


@pytest.mark.verifies("eq-noise-floor")
@pytest.mark.parametrize(("eta", "h"), [(0.1, 1.0), (0.5, 2.0), (0.9, 0.3)])
def test_noise_keeps_gradient_descent_at_a_distance(eta, h):
    rng, sigma = np.random.default_rng(0), 0.7
    theta = np.zeros(40_000)
    for _ in range(200):
        theta -= eta * (h * theta + sigma * rng.normal(size=len(theta)))
    assert theta.var() == pytest.approx(eta * sigma**2 / (h * (2 - eta * h)), rel=0.03)


@pytest.mark.verifies("eq-robbins-monro")
def test_rates_must_fall_but_not_too_fast():
    """Mean square of a noisy parabola by its exact recursion: 1/t gets there, no decay and 1/t^2 do not."""
    left = {}
    for power in (0, 1, 2):
        square = 100.0
        for t in range(1, 200_001):
            eta = 0.9 / t**power
            square = (1 - eta) ** 2 * square + eta**2
        left[power] = square
    assert left[1] < 1e-4
    assert left[0] > 0.5
    assert left[2] > 0.05


@pytest.mark.parametrize("schedule", [lambda o: Schedule(o, warmup=3), lambda o: CosineDecay(o, 10)])
def test_schedules_drive_torchs_optimisers_too(schedule):
    theta = nn.Parameter(torch.tensor([1.0]))
    optimizer = torch.optim.SGD([theta], lr=0.1)
    driven = schedule(optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        theta.square().sum().backward()
        optimizer.step()
        driven.step()
    assert 0 < theta.item() < 1


O = rule()
REFUSED = {
    "warmup": (lambda: Schedule(O, warmup=-1), ValueError, "warmup must be an integer >= 0, got -1"),
    "last epoch": (lambda: Schedule(O, last_epoch=-2), ValueError, "last_epoch must be an integer >= -1, got -2"),
    "step size": (lambda: StepDecay(O, 0), ValueError, "step_size must be an integer >= 1, got 0"),
    "step gamma": (lambda: StepDecay(O, 1, 0.0), ValueError, "gamma must be a number in (0, 1], got 0.0"),
    "gamma": (lambda: ExponentialDecay(O, 1.1), ValueError, "gamma must be a number in (0, 1], got 1.1"),
    "decay rate": (lambda: InverseTimeDecay(O, -0.1), ValueError, "decay_rate must be a number in [0, inf), got -0.1"),
    "T_max": (lambda: CosineDecay(O, 0), ValueError, "T_max must be an integer >= 1, got 0"),
    "eta_min": (lambda: CosineDecay(O, 3, -1.0), ValueError, "eta_min must be a number in [0, inf), got -1.0"),
    "factor": (lambda: HalveOnRise(O, 1.0), ValueError, "factor must be a number in (0, 1), got 1.0"),
    "no factor": (lambda: HalveOnRise(O, 0.0), ValueError, "factor must be a number in (0, 1), got 0.0"),
    "min_lr": (lambda: HalveOnRise(O, 0.5, -1.0), ValueError, "min_lr must be a number in [0, inf), got -1.0"),
    "most": (lambda: MomentumSchedule(O, 1.0), ValueError, "max_momentum must be a number in [0.5, 1), got 1.0"),
    "least": (lambda: MomentumSchedule(O, 0.4), ValueError, "max_momentum must be a number in [0.5, 1), got 0.4"),
    "interval": (lambda: MomentumSchedule(O, interval=0), ValueError, "interval must be an integer >= 1, got 0"),
    "m epoch": (
        lambda: MomentumSchedule(rule(Momentum), last_epoch=-2), ValueError, "last_epoch must be an integer >= -1"
    ),
    "without": (
        lambda: MomentumSchedule(O), ValueError, "optimizer must have momentum in each group, got none in group 0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    call, error, message = REFUSED[case]
    refuses(call, (), error, message)


KINDS = {
    "warm-up": lambda o: Schedule(o, warmup=3), "steps": lambda o: StepDecay(o, 2, 0.5),
    "cosine": lambda o: CosineDecay(o, 6), "halving": HalveOnRise,
    "momentum": lambda o: MomentumSchedule(o, interval=1),
}  # fmt: skip


def two(lr=0.5, momentum=0.9):
    return torch.optim.SGD([torch.ones(1), torch.zeros(1)], lr=lr, momentum=momentum)


def seen(kind, optimizer, schedule, losses):
    values = []
    for loss in losses:
        values += [group[key] for group in optimizer.param_groups for key in ("lr", "momentum")]
        optimizer.step()
        schedule.step(*([loss] if kind == "halving" else []))
    return values


@pytest.mark.parametrize("order", ["optimizer first", "schedule first", "made late", "schedule alone"])
@pytest.mark.parametrize("kind", KINDS)
def test_resumes_in_any_order(kind, order):
    optimizer = two()
    schedule = KINDS[kind](optimizer)
    seen(kind, optimizer, schedule, (3.0, 2.0, 2.5))
    states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    want = seen(kind, optimizer, schedule, (2.4, 2.6, 2.0, 2.2))
    other = two(0.1, 0.9 if order == "schedule alone" else 0.5)
    if order == "made late":
        other.load_state_dict(states[0])
    resumed = KINDS[kind](other)
    if order == "optimizer first":
        other.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    if order == "schedule first":
        other.load_state_dict(states[0])
    assert seen(kind, other, resumed, (2.4, 2.6, 2.0, 2.2)) == pytest.approx(want)
    assert other.param_groups[0]["initial_lr"] == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_is_added_later_is_scheduled_from_its_own_rate(kind):
    optimizer = two()
    schedule = KINDS[kind](optimizer)
    seen(kind, optimizer, schedule, (3.0, 2.0))
    optimizer.add_param_group({"params": [torch.ones(2)], "lr": 0.05})
    values = seen(kind, optimizer, schedule, (2.5, 2.6, 2.7))
    if kind == "halving":
        assert values[::2] == [0.5, 0.05, 0.25, 0.025, 0.125, 0.0125]
    else:
        assert values[6::4] == pytest.approx([old / 10 for old in values[4::4]])
    assert schedule.base_lrs == [0.5, 0.05]
    assert len(schedule.get_last_lr()) == 2
    schedule.load_state_dict(copy.deepcopy(schedule.state_dict()))


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_do_not_fit_are_refused(kind):
    optimizer = two()
    schedule = KINDS[kind](optimizer)
    before = copy.deepcopy(schedule.state_dict())
    foreign = torch.optim.lr_scheduler.ConstantLR(two()).state_dict()
    with pytest.raises(ValueError, match=f"^state_dict must be of a {type(schedule).__name__}, which holds"):
        schedule.load_state_dict(foreign)
    fewer = {**before, "_last_lr": []}
    with pytest.raises(ValueError, match=r"^state_dict must have a rate for each of 1 groups, got 0$"):
        schedule.load_state_dict(fewer)
    assert schedule.state_dict() == before


@pytest.mark.parametrize("kind", KINDS)
def test_rates_that_are_tensors_stay_the_same_tensors(kind):
    optimizer = two(torch.tensor(0.5))
    rate = optimizer.param_groups[0]["lr"]
    schedule = KINDS[kind](optimizer)
    plain = two(0.5)
    want = seen(kind, plain, KINDS[kind](plain), (3.0, 2.0, 2.5))
    assert [float(value) for value in seen(kind, optimizer, schedule, (3.0, 2.0, 2.5))] != []
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(plain.param_groups[0]["lr"])
    state = copy.deepcopy(schedule.state_dict())
    seen(kind, optimizer, schedule, (2.6, 2.7))
    schedule.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(plain.param_groups[0]["lr"])
    assert want[0] == 0.5 or kind == "warm-up"


def test_a_schedule_after_another_begins_with_the_rate_that_is_there():
    """And one that is made beside another before any step, as for torch's SequentialLR, shares its start."""
    optimizer = two(1.0)
    first = ExponentialDecay(optimizer, 0.5)
    for _ in range(3):
        optimizer.step()
        first.step()
    optimizer.param_groups[0]["lr"] = 1e-3
    second = ExponentialDecay(optimizer, 0.5)
    assert optimizer.param_groups[0]["lr"] == 1e-3
    optimizer.step()
    second.step()
    assert optimizer.param_groups[0]["lr"] == 5e-4
    beside = two(1.0)
    warm = Schedule(beside, warmup=3)
    assert CosineDecay(beside, 4).base_lrs == warm.base_lrs == [1.0]
