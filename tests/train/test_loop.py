"""Mirrors dlref/train/loop.py."""

import os
import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from dlref import train
from dlref.optimization import HalveOnRise
from dlref.train import (
    EarlyStopping,
    History,
    Noted,
    accuracy,
    fit,
    loop,
    processes,
    step,
)
from tests.train.runs import CPU, META, MODEL, PAIR, Placed, X, Y, network, sgd, trained, weights


def test_is_the_loop_written_out(close):
    """The oracle is the plainest loop; the last batch of 50 examples in 16s has two."""
    ours, theirs = network(), network()
    history = trained(ours, epochs=3, seed=5)
    optimizer, losses = sgd(theirs), []
    for epoch in range(3):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(5 + epoch))
        total = 0.0
        for start in range(0, 50, 16):
            batch = order[start : start + 16]
            optimizer.zero_grad()
            loss = F.cross_entropy(theirs(X[batch]), Y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / 50)
    close(history["loss"], losses, rtol=1e-6)
    close(weights(ours), weights(theirs))
    assert list(history) == ["loss"]


def test_steps_are_batches_counted_over_the_epochs(close, tmp_path):
    """50 examples in 16s are four batches an epoch: six steps are one epoch and a half."""
    ours, seen = network(), []
    ours.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    history = trained(ours, epochs=None, steps=6)
    assert seen == [16, 16, 16, 2, 16, 16]
    assert len(history["loss"]) == 2
    whole, exact = network(), network()
    trained(whole, epochs=2)
    trained(exact, epochs=None, steps=8)
    close(weights(exact), weights(whole))
    resumed = network()
    optimizer = sgd(resumed)
    trained(resumed, optimizer=optimizer, epochs=1, checkpoint=tmp_path / "run.pt")
    trained(resumed, optimizer=optimizer, epochs=None, steps=6, checkpoint=tmp_path / "run.pt")
    close(weights(resumed), weights(ours))


def test_history_of_validation_and_metrics(close):
    model = network()
    history: History = trained(model, valid=(X[:30], Y[:30]), metrics={"accuracy": accuracy})
    assert list(history) == ["loss", "valid_loss", "valid_accuracy"]
    assert [len(column) for column in history.values()] == [4, 4, 4]
    with torch.no_grad():
        close(history["valid_loss"][-1], F.cross_entropy(model(X[:30]), Y[:30]).item(), rtol=1e-6)
        close(history["valid_accuracy"][-1], (model(X[:30]).argmax(1) == Y[:30]).double().mean().item(), rtol=1e-7)


def test_trains_in_training_mode_and_evaluates_in_evaluation_mode():
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    model = Spy(4, 2)
    model.eval()
    trained(model, epochs=1, valid=(X, Y), batch_size=50)
    assert seen == [(True, True), (False, False)]
    assert model.training


@pytest.mark.parametrize("num_workers", [0, 1])
def test_dataset_gives_the_numbers_of_tensors(close, num_workers):
    class Pairs(Dataset):
        def __len__(self):
            return 50

        def __getitem__(self, i):
            return X[i], Y[i]

    models = [network() for _ in range(3)]
    for model, data in zip(models, ((X, Y), TensorDataset(X, Y), Pairs()), strict=True):
        fit(model, F.cross_entropy, data, data, optimizer=sgd(model), epochs=2, batch_size=16, num_workers=num_workers)
    close(weights(models[0]), weights(models[1]))
    close(weights(models[0]), weights(models[2]))


def test_same_seed_same_numbers_other_seed_others():
    a, b, c = (trained(network(), seed=seed)["loss"] for seed in (0, 0, 1))
    assert a == b != c


def test_defaults_are_a_batch_of_32_and_seed_0():
    a, b = network(), network()
    fit(a, F.cross_entropy, (X, Y), optimizer=sgd(a), epochs=1)
    trained(b, epochs=1, batch_size=32, seed=0)
    torch.testing.assert_close(weights(a), weights(b), rtol=0, atol=0)


def test_scheduler_is_stepped_once_an_epoch():
    model = network()
    optimizer = sgd(model, lr=1.0)
    trained(model, optimizer=optimizer, scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5), epochs=3)
    assert optimizer.param_groups[0]["lr"] == 0.125


def test_scheduler_may_be_stepped_at_every_step():
    model = network()
    optimizer = sgd(model, lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8)
    trained(model, optimizer=optimizer, scheduler=schedule, interval="step", epochs=2)
    assert schedule.last_epoch == 8


@pytest.mark.parametrize("kind", [HalveOnRise, partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0)])
def test_schedules_that_look_at_the_loss_are_given_that_on_valid(kind):
    model, rates = network(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=50.0)  # much too large
    history = trained(
        model, optimizer=optimizer, scheduler=kind(optimizer), epochs=6, valid=(X[:20], Y[:20]),
        callbacks=[lambda _: rates.append(optimizer.param_groups[0]["lr"])],
    )  # fmt: skip
    assert rates[-1] < 50
    twin = torch.optim.SGD(model.parameters(), lr=50.0)
    schedule, want = kind(twin), []
    for loss in history["valid_loss"]:
        schedule.step(loss)
        want.append(twin.param_groups[0]["lr"])
    assert rates == want


def test_the_smaller_batch_may_be_dropped():
    model, seen = network(), []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    history = trained(model, epochs=2, drop_last=True)
    assert seen == [16] * 6
    assert len(history["loss"]) == 2
    seen.clear()
    trained(model, epochs=None, steps=4, drop_last=True, batch_size=25)
    assert seen == [25] * 4
    with pytest.raises(ValueError, match="batch_size must be at most the 50 examples of train where the last batch is"):
        trained(model, drop_last=True, batch_size=51)
    trained(model, drop_last=True, batch_size=50, epochs=1)


def test_layers_put_in_evaluation_mode_stay_so():
    """A frozen batch norm keeps its statistics; a model that is in evaluation mode as a whole is trained."""
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
    model[1].eval()
    before = model[1].running_mean.clone()
    trained(model, epochs=2, valid=(X, Y))
    assert torch.equal(model[1].running_mean, before)
    assert [module.training for module in model] == [True, False, True, True]
    model.eval()
    trained(model, epochs=1)
    assert not torch.equal(model[1].running_mean, before)
    assert all(module.training for module in model)


def test_one_batch_overfits():
    model = network()
    history = fit(model, F.cross_entropy, (X[:8], Y[:8]), optimizer=sgd(model, 0.3), epochs=300, batch_size=8)
    assert history["loss"][-1] < 0.01


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_stops_at_a_loss_that_is_not_finite(value, tmp_path):
    calls = iter(range(100))

    def loss(output, target):
        return F.cross_entropy(output, target) + (float(value) if next(calls) == 6 else 0)

    model = network()
    with pytest.raises(FloatingPointError, match=f"^loss is {value} at epoch 2, batch 3$"):
        fit(model, loss, (X, Y), optimizer=sgd(model), epochs=3, batch_size=16, checkpoint=tmp_path / "run.pt")
    assert all(p.isfinite().all() for p in model.parameters()), "the step was not taken"


def test_bar_is_quiet_without_a_terminal(capfd):
    trained(network(), epochs=1)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_bar_shows_loss_and_rate_on_a_terminal(monkeypatch):
    made = []

    class Bar(loop.tqdm):
        def __init__(self, *args, **kwargs):
            made.append((self, kwargs))
            super().__init__(*args, **{**kwargs, "disable": False, "file": open(os.devnull, "w"), "delay": 0})  # noqa: SIM115, PTH123

    monkeypatch.setattr(loop, "tqdm", Bar)
    trained(network(), epochs=2)
    bar, kwargs = made[0]
    assert (kwargs["disable"], kwargs["delay"], kwargs["unit"]) == (None, 2, "batch")
    assert (bar.n, bar.total) == (8, 8)
    assert re.fullmatch(r"loss=\d\.\d{4}", bar.postfix)
    bar.fp.close()


MUST = "train must be a tuple of tensors (inputs, targets), a Dataset or a DataLoader"
REFUSED = {
    "model": ({"model": 3}, TypeError, "model must be a torch.nn.modules.module.Module, got 3 (int)"),
    "loss": ({"loss": 0.5}, TypeError, "loss must be callable, got 0.5 (float)"),
    "optimizer": ({"optimizer": "adam"}, TypeError, "optimizer must be a torch.optim.optimizer.Optimizer, got 'adam'"),
    "other": ({"optimizer": sgd(network())}, ValueError, "optimizer must hold parameters of model, got none of them"),
    "callback": ({"callbacks": [5]}, TypeError, "callbacks must be callable, got 5 (int)"),
    "list": (
        {"train": [X, Y]},
        TypeError,
        "train must be a tuple of tensors (inputs, targets), a Dataset or a DataLoader, got [",
    ),
    "one": ({"train": (X,)}, TypeError, MUST),
    "arrays": (
        {"train": (X.numpy(), Y)},
        TypeError,
        f"{MUST}, got (float32 array of shape (50, 4), torch",
    ),
    "scalar": ({"train": (X, Y[0])}, TypeError, "train must be a tuple of tensors"),
    "lengths": ({"train": (X, Y[:9])}, ValueError, "train must hold as many inputs as targets, got 50 and 9"),
    "empty": ({"train": (X[:0], Y[:0])}, ValueError, "train must not be empty"),
    "no dataset": (
        {"train": iter([1])},
        TypeError,
        MUST,
    ),
    "valid": ({"valid": (X, Y[:9])}, ValueError, "valid must hold as many inputs as targets, got 50 and 9"),
    "steps": ({"epochs": None, "steps": 0}, ValueError, "steps must be an integer >= 1, got 0"),
    "both": ({"steps": 5}, ValueError, "epochs or steps must be given, and only one, got 1 and 5"),
    "neither": ({"epochs": None}, ValueError, "epochs or steps must be given, and only one, got None and None"),
    "epochs": ({"epochs": 0}, ValueError, "epochs must be an integer >= 1, got 0"),
    "batch": ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1, got 0"),
    "seed": ({"seed": -1}, ValueError, "seed must be an integer >= 0, got -1"),
    "interval": ({"interval": "batch"}, ValueError, "interval must be one of 'epoch', 'step', got 'batch'"),
    "schedule": ({"scheduler": 3}, TypeError, "scheduler must be a torch.optim.lr_scheduler.LRScheduler, got 3 (int)"),
    "no loss": ({"scheduler": HalveOnRise(sgd(MODEL))}, ValueError, "scheduler HalveOnRise needs valid, whose loss it"),
    "steps of it": (
        {"scheduler": HalveOnRise(sgd(MODEL)), "valid": (X, Y), "interval": "step"},
        ValueError,
        "scheduler HalveOnRise needs valid",
    ),
    "norm": ({"max_norm": -1.0}, ValueError, "max_norm must be a number in [0, inf), got -1.0"),
    "clip": ({"clip_value": -1.0}, ValueError, "clip_value must be a number in [0, inf), got -1.0"),
    "metric": ({"metrics": {"loss": accuracy}}, ValueError, "metrics must not be called 'loss'"),
    "workers": ({"num_workers": -1}, ValueError, "num_workers must be an integer >= 0, got -1"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case):
    changed, error, message = REFUSED[case]
    arguments = {"model": MODEL, "loss": F.cross_entropy, "train": (X, Y), "optimizer": sgd(MODEL), "epochs": 1}
    arguments |= changed
    with pytest.raises(error, match="^" + re.escape(message)):
        fit(arguments.pop("model"), arguments.pop("loss"), arguments.pop("train"), **arguments)


class Bar:
    """Notes what tqdm is asked."""

    def __init__(self, disable):
        self.disable, self.updates, self.postfixes = disable, [], []

    def update(self, n=1):
        self.updates.append(n)

    def set_postfix(self, **kwargs):
        self.postfixes.append(kwargs)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def run(model, **kwargs):
    kwargs = {"epochs": 1, "batch_size": 2} | kwargs
    return train.fit(
        model, nn.functional.mse_loss, PAIR, optimizer=torch.optim.SGD(model.parameters(), lr=0.0), **kwargs
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("rank", "disable"), [(0, None), (1, True)])
def test_everything_goes_to_the_device_and_only_the_first_process_has_a_bar(monkeypatch, tmp_path, rank, disable):
    joined, spread, bars, evaluated = [], [], [], []

    def join(device):
        joined.append(device)
        return rank, 1, CPU

    def tqdm(**kwargs):
        bars.append(kwargs)
        return Bar(disable=True)

    def evaluate(*args, **kwargs):
        evaluated.append(kwargs)
        return {"loss": 1.0}

    def batches_of(data, batches, device, num_workers, generator, weigh):
        spread.append((device, num_workers))
        return processes.batches_of(data, batches, device)

    for function in (join, tqdm, evaluate, batches_of):
        monkeypatch.setattr(loop, function.__name__, function)
    model = Placed()
    run(model, device=META, num_workers=4, valid=PAIR)
    assert joined == [META]
    assert model.sent == [CPU]
    assert spread == [(CPU, 4)]
    assert evaluated == [{"metrics": None, "batch_size": 2, "device": CPU}]
    assert bars == [{"total": 3, "unit": "batch", "disable": disable, "delay": 2}]
    run(model)
    assert spread[-1] == (CPU, 0), "by default the examples are loaded by the process itself"


@pytest.mark.usefixtures("unchecked")
def test_the_bar_goes_on_where_training_does_and_shows_the_loss(monkeypatch, tmp_path):
    bars = []

    def tqdm(total, **kwargs):
        bars.append(Bar(disable=len(bars) == 2))
        bars[-1].total = total
        return bars[-1]

    monkeypatch.setattr(loop, "tqdm", tqdm)
    monkeypatch.setattr(step.time, "monotonic", iter(range(1, 100)).__next__)
    model = nn.Linear(1, 1)
    run(model, epochs=2, batch_size=4, checkpoint=tmp_path / "c.pt")
    run(model, epochs=5, batch_size=4, checkpoint=tmp_path / "c.pt")
    run(model, batch_size=4)
    first, second, hidden = bars
    assert (first.total, first.updates) == (4, [0, 1, 1, 1, 1])
    assert (second.total, second.updates) == (10, [4, 1, 1, 1, 1, 1, 1])
    assert [set(shown) for shown in second.postfixes] == [{"loss", "refresh"}] * 6
    assert all(shown["refresh"] is False for shown in second.postfixes)
    assert hidden.postfixes == [], "reading the loss would make a GPU wait"


@pytest.mark.parametrize(("world", "wrapped"), [(1, 0), (2, 1)])
def test_several_processes_share_their_gradients(monkeypatch, world, wrapped):
    seen = []

    def parallel(model):
        seen.append(model)
        return model

    monkeypatch.setattr(loop, "join", lambda _: (0, world, CPU))
    monkeypatch.setattr(loop, "DistributedDataParallel", parallel)
    model = nn.Linear(1, 1)
    run(model)
    assert seen == [model] * wrapped


@pytest.mark.usefixtures("unchecked")
def test_a_share_weighs_what_it_says(monkeypatch):
    share = processes.Share(1.0, 0.25)
    monkeypatch.setattr(loop, "batches_of", lambda *_: [(share, torch.ones(1, 1), torch.zeros(1, 1))])
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    run(model)
    assert model.weight.grad.item() == 0.25 * 2


def test_losses_are_averaged_by_their_weights(close):
    """Whichever examples come together in a batch, also behind what notes the loss."""
    loss = nn.CrossEntropyLoss(torch.tensor([1.0, 5.0]))
    model = network()
    want = loss(model(X), Y).item()
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    loader = DataLoader(TensorDataset(X, Y), 7)
    for judge, data in ((loss, (X, Y)), (Noted(loss), (X, Y)), (loss, loader)):
        close(fit(model, judge, data, optimizer=frozen, epochs=1, batch_size=7)["loss"], [want], rtol=1e-6)
    ignored = Y.clone()
    ignored[:5] = -100
    want = F.cross_entropy(model(X), ignored).item()
    close(
        fit(model, F.cross_entropy, (X, ignored), optimizer=frozen, epochs=1, batch_size=7)["loss"], [want], rtol=1e-6
    )


def test_a_run_that_was_interrupted_goes_on_in_all_its_parts(close, tmp_path):
    """Schedule, callback, and the generator and sampler of a loader."""

    class Sampler(torch.utils.data.Sampler):
        def set_epoch(self, epoch):
            told.append(epoch)

        def __len__(self):
            return 50

        def __iter__(self):
            return iter(torch.randperm(50, generator=drawn).tolist())

    def run(path, epochs):
        model = network()
        optimizer = sgd(model, lr=0.5)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        stop = EarlyStopping(patience=9, monitor="loss")
        history = fit(
            model, F.cross_entropy, DataLoader(TensorDataset(X, Y), 16, sampler=Sampler(), generator=drawn),
            optimizer=optimizer, scheduler=schedule, callbacks=[stop], epochs=epochs, checkpoint=tmp_path / path,
        )  # fmt: skip
        return weights(model), history, optimizer.param_groups[0]["lr"], stop.state_dict()

    told, drawn = [], torch.Generator().manual_seed(3)
    whole = run("whole", 4)
    assert told == [0, 1, 2, 3]
    told.clear()
    drawn = torch.Generator().manual_seed(3)
    run("part", 2)
    drawn = torch.Generator().manual_seed(99)
    resumed = run("part", 4)
    assert told == [0, 1, 2, 3]
    close(resumed[0], whole[0], rtol=0, atol=0)
    assert resumed[1:3] == whole[1:3]
    assert resumed[3].keys() == whole[3].keys()
    assert resumed[3]["best"] == whole[3]["best"]


def test_callbacks_are_given_the_state_at_every_turn():
    class Attends:
        def __init__(self):
            self.seen = []

        def __call__(self, state):
            self.seen.append((state.epoch, state.steps))

        begin = finish = __call__

    attends = Attends()
    trained(network(), epochs=2, callbacks=[attends])
    assert attends.seen == [(0, 0), (1, 4), (2, 8), (2, 8)]


def test_why_a_schedule_needs_the_validation_data(refuses):
    model = network()
    optimizer = sgd(model)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    message = "scheduler ReduceLROnPlateau needs valid, whose loss it looks at after each epoch"
    refuses(partial(trained, model, optimizer=optimizer, scheduler=schedule), (), ValueError, message)
