"""Mirrors dlref/train/step.py."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from dlref.train import State, fit, step
from dlref.train.processes import Mean, Share
from tests.train.runs import META, MODEL, X, Y, network, sgd, trained, weights


@pytest.mark.parametrize(
    ("settings", "clip"),
    [({"max_norm": 0.1}, lambda p: nn.utils.clip_grad_norm_(p, 0.1)),
     ({"clip_value": 0.01}, lambda p: nn.utils.clip_grad_value_(p, 0.01)), ({"max_norm": None}, lambda _: None)],
)  # fmt: skip
def test_gradients_are_clipped_before_the_step(close, settings, clip):
    ours, theirs = network(), network()
    trained(ours, epochs=1, **settings)
    optimizer = sgd(theirs)
    for batch in torch.randperm(50, generator=torch.Generator().manual_seed(0)).split(16):
        optimizer.zero_grad()
        F.cross_entropy(theirs(X[batch]), Y[batch]).backward()
        clip(theirs.parameters())
        optimizer.step()
    close(weights(ours), weights(theirs), rtol=1e-5, atol=1e-6)


def test_an_optimizer_that_asks_for_the_loss(close):
    def lbfgs(model):
        return torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)

    ours, theirs = network(), network()
    history = trained(ours, epochs=3, optimizer=lbfgs(ours), batch_size=50)
    optimizer, losses = lbfgs(theirs), []

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(theirs(X), Y)
        loss.backward()
        return loss

    for _ in range(3):
        losses.append(optimizer.step(closure).item())
    close(history["loss"], losses, rtol=1e-4)
    assert losses[2] < losses[0]


def test_a_device_is_asked_seldom_whether_the_loss_is_finite(monkeypatch):
    """As on a GPU, which would have to be waited for: the error then comes late, and names the batch all the same."""
    calls = iter(range(1000))

    def loss(output, target):
        return F.cross_entropy(output, target) * (torch.nan if next(calls) == 230 else 1)

    class Elsewhere(Mean):
        def first_not_finite(self):
            asked.append(self.added)
            return super().first_not_finite()

    asked = []
    monkeypatch.setattr(step, "Mean", Elsewhere)
    monkeypatch.setattr(step.math, "isfinite", lambda _: True)
    monkeypatch.setattr(step, "_look", partial(look, step._look))
    model = network()
    with pytest.raises(FloatingPointError, match=r"^loss is nan at epoch 1, batch 231$"):
        fit(model, loss, (X.repeat(7, 1), Y.repeat(7)), optimizer=sgd(model), epochs=1, batch_size=1)
    assert asked == [100, 200, 300]


def look(real, mean, state, device):
    real(mean, state, META)


@pytest.mark.parametrize("nested", [False, True])
def test_a_process_without_examples_stays_in_step(nested):
    """Its loss may be NaN; what it hands on is zero, through the whole network."""
    model = network()

    def loss(output, target):
        raise AssertionError("there is nothing to judge")

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = model

        def forward(self, x):
            return {"scores": (self.body(x), [self.body(2 * x)])}

    take = step.Step(Two() if nested else model, loss, sgd(model), None, None, None)
    assert take(Share(0.0, 0.0), X, Y).item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_settings_are_checked(refuses):
    model = network()
    for norm, value, message in (
        (-1.0, None, "max_norm must be a number in [0, inf), got -1.0"),
        (None, -1.0, "clip_value must be a number in [0, inf), got -1.0"),
    ):
        refuses(step.Step, (model, F.cross_entropy, sgd(model), None, norm, value), ValueError, message)


@pytest.mark.parametrize(("asks", "kind"), [(False, torch.optim.SGD), (True, torch.optim.LBFGS)])
def test_who_must_be_given_the_loss_is_known_by_its_step(asks, kind):
    class Plain(kind):
        def step(self):
            return None

    model = network()
    settings = model, F.cross_entropy, kind(model.parameters(), lr=0.1), None, None, None
    assert step.Step(*settings).asks is asks
    assert step.Step(model, F.cross_entropy, Plain(model.parameters(), lr=0.1), None, None, None).asks is False


def test_the_schedule_moves_after_the_optimizer():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    take = step.Step(model, F.cross_entropy, optimizer, schedule, None, None)
    take(Share(50.0, 1.0), X, Y)
    assert optimizer.param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize("weight", [1.0, 0.25, 2.0])
def test_gradients_are_weighted_by_the_share(close, weight):
    """So that an average over processes of unequal parts is the mean over the batch; the loss is not."""
    model = network()
    value = step.Step(model, F.cross_entropy, sgd(model), None, None, None)(Share(50.0, weight), X, Y)
    plain = network()
    loss = F.cross_entropy(plain(X), Y)
    loss.backward()
    close(value, loss.detach())
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        close(ours.grad, weight * theirs.grad)


class Bar(tqdm):
    """Notes what it is told."""

    def __init__(self, disable):
        super().__init__(disable=True)
        self.disable = disable
        self.updates, self.notes = 0, []

    def update(self, *_):
        self.updates += 1

    def set_postfix(self, **settings):
        self.notes.append(settings)

    def close(self):
        pass


def epoch_of(losses, bar, *, void=()):
    """An epoch of batches with these losses, some of which are void."""
    model = network()
    values = iter(losses)

    class Told(step.Step):
        def __call__(self, *_):
            value = torch.tensor(next(values))
            if not value.isfinite():
                raise FloatingPointError(value.item())
            return value

    take = Told(model, F.cross_entropy, sgd(model), None, None, None)
    shares = [(Share(2.0 if n % 2 else 1.0, 1.0, n in void), X, Y) for n in range(len(losses) + len(void))]
    state = State(4, model, sgd(model))
    return step.train_epoch(take, iter(shares), state, bar), state


def test_an_epoch_counts_its_batches_and_averages_their_losses(close):
    bar = Bar(disable=True)
    mean, state = epoch_of([1.0, 4.0, 7.0], bar, void=(1,))
    assert (state.steps, bar.updates, bar.notes) == (4, 3, [])
    close(mean.over_processes(), (1 * 1.0 + 1 * 4.0 + 2 * 7.0) / 4)


def test_the_bar_shows_the_loss_now_and_then(monkeypatch):
    now = iter([10.0, 10.0, 10.1, 10.2, 10.31, 10.31, 10.4])
    monkeypatch.setattr(step.time, "monotonic", lambda: next(now))
    bar = Bar(disable=False)
    epoch_of([1.0, 2.0, 3.0, 4.0, 5.0], bar)
    assert bar.notes == [{"loss": "1.0000", "refresh": False}, {"loss": "4.0000", "refresh": False}]


@pytest.mark.parametrize("clock", [[0.2, 0.5], [0.1, 0.1]])
def test_the_bar_waits_a_fifth_of_a_second(monkeypatch, clock):
    """Also before the first time, counted from zero."""
    now = iter(clock)
    monkeypatch.setattr(step.time, "monotonic", lambda: next(now))
    bar = Bar(disable=False)
    epoch_of([1.0], bar)
    assert bar.notes == []


def test_a_loss_that_is_not_finite_is_named_with_its_batch():
    model = network()
    take = step.Step(model, lambda output, _: output.sum() * torch.inf, sgd(model), None, None, None)
    before = weights(model)
    with pytest.raises(FloatingPointError) as caught:
        take(Share(50.0, 1.0), X, Y)
    assert caught.value.args[0] in (float("inf"), -float("inf"))
    torch.testing.assert_close(weights(model), before, rtol=0, atol=0)
    with pytest.raises(FloatingPointError, match=r"^loss is inf at epoch 5, batch 3$") as caught:
        epoch_of([1.0, 2.0, float("inf")], Bar(disable=True))
    assert caught.value.__cause__ is None


def test_where_each_step_has_looked_the_mean_is_not_asked(monkeypatch):
    """On the CPU a loss that is not finite is found at once."""

    def asked(_):
        raise AssertionError("the mean was asked")

    monkeypatch.setattr(step.Mean, "first_not_finite", asked)
    epoch_of([1.0] * 100, Bar(disable=True))


def test_elsewhere_the_last_batches_are_looked_at_too():
    state = State(0, MODEL, sgd(MODEL))
    mean = Mean(torch.device("cpu"))
    mean.add(torch.tensor(1.0), 1.0)
    step._look(mean, state, META)
    mean.add(torch.tensor(float("nan")), 1.0)
    with pytest.raises(FloatingPointError, match=r"^loss is nan at epoch 1, batch 2$"):
        step._look(mean, state, META)
