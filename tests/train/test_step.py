"""Mirrors dlref/train/step.py."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.train import fit, step
from dlref.train.processes import Mean, Share
from tests.train.runs import META, X, Y, network, sgd, trained, weights


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
