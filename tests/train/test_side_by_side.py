"""Mirrors dlref/train/side_by_side.py."""

import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.device import seed
from dlref.train import SeedRun, accuracy, error_rates, fit, fit_seeds
from dlref.train import side_by_side as module
from tests.train.runs import X, Y


def small():
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def shared():
    """A layer that is used twice has its weights stacked once."""
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(4, 2))


def dropping():
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))


def normalised():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))


def pictures():
    return nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2), nn.Flatten(), nn.ReLU(), nn.Linear(3, 2))


RULES = {
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=0.02, weight_decay=0.1),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("build", [small, shared, dropping, normalised, pictures])
def test_each_run_is_that_of_its_seed_alone(build, rule, close):
    settings = {"epochs": 3, "batch_size": 16, "metrics": {"accuracy": accuracy}}
    runs = fit_seeds(
        build, F.cross_entropy, (X, Y), (X[:20], Y[:20]), optimizer=RULES[rule], seeds=[4, 2, 9], **settings
    )
    assert [run.seed for run in runs] == [4, 2, 9]
    for run in runs:
        assert isinstance(run, SeedRun)
        seed(run.seed)
        alone = build()
        seed(run.seed)
        history = fit(
            alone, F.cross_entropy, (X, Y), (X[:20], Y[:20]),
            optimizer=RULES[rule](alone.parameters()), seed=run.seed, **settings,
        )  # fmt: skip
        assert list(run.history) == list(history)
        for name in history:
            close(run.history[name], history[name], rtol=1e-5, atol=1e-6)
        close(run.model.state_dict(), alone.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("build", "alone"), [(small, 0), (dropping, 3), (normalised, 3)])
def test_only_what_cannot_be_stacked_runs_one_after_another(build, alone, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "fit", lambda *_, **kwargs: calls.append(kwargs["seed"]) or {})
    fit_seeds(build, F.cross_entropy, (X, Y), optimizer=RULES["adam"], seeds=3, epochs=1)
    assert calls == list(range(alone))


def test_steps_end_within_an_epoch(close):
    (run,) = fit_seeds(small, F.cross_entropy, (X, Y), optimizer=RULES["adam"], seeds=1, steps=6, batch_size=16)
    seed(0)
    alone = small()
    fit(alone, F.cross_entropy, (X, Y), optimizer=RULES["adam"](alone.parameters()), steps=6, batch_size=16)
    close(run.model.state_dict(), alone.state_dict(), rtol=1e-5, atol=1e-6)
    assert len(run.history["loss"]) == 2


def test_defaults_are_five_seeds_and_batches_of_32(close):
    runs = fit_seeds(small, F.cross_entropy, (X, Y), optimizer=RULES["adam"], epochs=2)
    assert [run.seed for run in runs] == [0, 1, 2, 3, 4]
    (spelled,) = fit_seeds(small, F.cross_entropy, (X, Y), optimizer=RULES["adam"], epochs=2, seeds=1, batch_size=32)
    close(runs[0].model.state_dict(), spelled.model.state_dict(), rtol=1e-5, atol=1e-6)


def test_networks_go_to_the_device(monkeypatch):
    """The default one, or the one that is given: meta is noticed, where nothing can be trained."""
    seen = []

    def watch(runs, loss, train, valid, optimizer, total, checks):
        seen.append((runs[0].model[0].weight.device.type, checks["device"].type))

    monkeypatch.setattr(module, "_side_by_side", watch)
    monkeypatch.setattr(module, "default_device", lambda: torch.device("meta"))
    fit_seeds(small, F.cross_entropy, (X, Y), optimizer=RULES["adam"], seeds=1, epochs=1)
    assert seen.pop() == ("meta", "meta")
    fit_seeds(small, F.cross_entropy, (X, Y), optimizer=RULES["adam"], seeds=1, epochs=1, device=torch.device("cpu"))
    assert seen.pop() == ("cpu", "cpu")


def test_networks_with_buffers_are_never_stacked(monkeypatch):
    monkeypatch.setattr(module, "_side_by_side", lambda *_: pytest.fail("stacked"))
    fit_seeds(normalised, F.cross_entropy, (X, Y), optimizer=RULES["adam"], seeds=1, epochs=1)


def test_what_cannot_go_on_side_by_side_begins_anew(close):
    """The third step of the second epoch is refused, after weights have been handed back."""
    calls = []

    def loss(output, target):
        calls.append(len(output))
        if len(calls) == 7:
            raise RuntimeError("vmap: not this one")
        return F.cross_entropy(output, target)

    settings = {"epochs": 3, "batch_size": 16}
    (run,) = fit_seeds(small, loss, (X, Y), optimizer=RULES["adam"], seeds=1, **settings)
    seed(0)
    alone = small()
    seed(0)
    fit(alone, F.cross_entropy, (X, Y), optimizer=RULES["adam"](alone.parameters()), seed=0, **settings)
    close(run.model.state_dict(), alone.state_dict(), rtol=1e-6, atol=1e-7)
    assert len(run.history["loss"]) == 3


def test_sums_of_losses_are_in_double_precision():
    """A hundred batches of the same loss have it as their mean, to the last digit."""

    def loss(output, target):
        return 0 * F.cross_entropy(output, target) + 0.1

    x, y = X.repeat(20, 1), Y.repeat(20)
    (run,) = fit_seeds(small, loss, (x, y), optimizer=RULES["momentum"], seeds=1, epochs=1, batch_size=8)
    assert run.history["loss"] == [pytest.approx(torch.tensor(0.1).item(), rel=1e-14)]


def test_a_loss_that_is_not_finite_names_its_seed():
    with pytest.raises(FloatingPointError, match=r"^loss of seed 0 is nan in epoch 1$"):
        fit_seeds(small, F.cross_entropy, (X * float("nan"), Y), optimizer=RULES["adam"], seeds=2, epochs=1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"seeds": 0}, ValueError, "seeds must be an integer >= 1, got 0"),
        ({"seeds": []}, ValueError, "seeds must be at least one, each once, got ()"),
        ({"seeds": [1, 1]}, ValueError, "seeds must be at least one, each once, got (1, 1)"),
        ({"seeds": [-1]}, ValueError, "seeds must be an integer in [0, 4294967295], got -1"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1, got 0"),
        ({"epochs": None}, ValueError, "epochs or steps must be given, and only one, got None and None"),
        ({"train": (X, Y[:3])}, ValueError, "train must hold as many inputs as targets, got 50 and 3"),
        (
            {"train": torch.utils.data.TensorDataset(X, Y)},
            TypeError,
            "train and valid must be pairs of tensors (inputs",
        ),
    ],
)
def test_bad_input_names_the_offender(changed, error, message):
    arguments = {"train": (X, Y), "optimizer": RULES["adam"], "epochs": 1} | changed
    with pytest.raises(error, match="^" + re.escape(message)):
        fit_seeds(small, F.cross_entropy, arguments.pop("train"), **arguments)


def test_error_rates_have_the_seeds_of_their_runs():
    flipped = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        flipped.weight.copy_(-torch.eye(3))
    runs = [SeedRun(7, nn.Identity(), {}), SeedRun(2, flipped, {})]
    with pytest.raises(ValueError, match=r"^runs must have at least one run, got none$"):
        error_rates([], (torch.eye(3), torch.arange(3)))
    found = error_rates(runs, (torch.eye(3), torch.arange(3)))
    assert found.seeds == (7, 2)
    assert found.values.tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="runs must have at least one run, got none"):
        error_rates([], (torch.eye(3), torch.arange(3)))
