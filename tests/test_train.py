"""Mirrors dlref/train.py and its parts (_callbacks, _checkpoint, _processes)."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from dlref import _checkpoint, _processes, train
from dlref.train import EarlyStopping, History, Snapshots, State, accuracy, evaluate, evaluating, fit, predict

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] * X[:, 1] > 0).long()


def network(dropout=0.0):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))


def trained(model, epochs=4, **kwargs):
    kwargs = {"optimizer": sgd(model), "batch_size": 16, **kwargs}
    return fit(model, F.cross_entropy, (X, Y), epochs=epochs, **kwargs)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


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


def test_history_of_validation_and_metrics(close):
    model = network()
    history: History = trained(model, valid=(X[:30], Y[:30]), metrics={"accuracy": accuracy})
    assert list(history) == ["loss", "valid_loss", "valid_accuracy"]
    assert [len(column) for column in history.values()] == [4, 4, 4]
    with torch.no_grad():
        close(history["valid_loss"][-1], F.cross_entropy(model(X[:30]), Y[:30]).item(), rtol=1e-6)
        close(history["valid_accuracy"][-1], (model(X[:30]).argmax(1) == Y[:30]).double().mean().item())


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


def test_one_batch_overfits():
    model = network()
    history = fit(model, F.cross_entropy, (X[:8], Y[:8]), optimizer=sgd(model, 0.3), epochs=300, batch_size=8)
    assert history["loss"][-1] < 0.01


def test_callbacks_see_the_epoch_and_can_stop():
    seen = []

    def callback(state):
        seen.append((state.epoch, len(state.history["loss"]), state.model is model, state.optimizer is optimizer))
        state.stop = state.epoch == 2

    model = network()
    optimizer = sgd(model)
    trained(model, optimizer=optimizer, callbacks=[callback])
    assert seen == [(1, 1, True, True), (2, 2, True, True)]
    assert State(0, model, optimizer) == State(0, model, optimizer, {}, stop=False)


def feed(callback, values, model=None, column="valid_loss"):
    """Drive a callback by hand; the model's single weight is the epoch's number."""
    model = model or nn.Linear(1, 1, bias=False)
    state = State(0, model, sgd(model))
    for epoch, value in enumerate(values, 1):
        with torch.no_grad():
            model.weight.fill_(epoch)
        state.epoch = epoch
        state.history.setdefault(column, []).append(value)
        callback(state)
        if state.stop:
            break
    return state


@pytest.mark.parametrize(
    ("values", "patience", "mode", "epoch", "best"),
    [
        ([3.0, 2.0, 2.5, 2.0, 1.0, 0.0], 2, "min", 4, 2),
        ([3.0, 2.0, 2.5, 2.0, 1.0, 0.0], 3, "min", 6, 6),
        ([0.1, 0.5, 0.4], 1, "max", 3, 2),
        ([0.1, 0.1], 1, "max", 2, 1),
    ],
)
def test_early_stopping_restores_the_best(values, patience, mode, epoch, best):
    stopping = EarlyStopping(patience, mode=mode)
    state = feed(stopping, values)
    assert state.epoch == epoch
    assert state.stop == (epoch - best >= patience)
    assert stopping.best_epoch == best
    assert stopping.best == values[best - 1]
    assert state.model.weight.item() == best


def test_early_stopping_may_keep_the_last_weights_and_watch_another_column():
    stopping = EarlyStopping(1, monitor="loss", restore=False)
    state = feed(stopping, [1.0, 2.0], column="loss")
    assert state.stop
    assert state.model.weight.item() == 2
    with pytest.raises(KeyError, match="monitor 'valid_loss' is not among the columns \\['loss'\\]"):
        feed(EarlyStopping(), [1.0], column="loss")
    assert (EarlyStopping().patience, EarlyStopping().monitor, EarlyStopping().restore) == (5, "valid_loss", True)
    assert EarlyStopping(mode="max").best == -np.inf


def test_early_stopping_on_losses_that_are_never_finite_changes_nothing():
    state = feed(EarlyStopping(2), [float("nan")] * 3)
    assert state.stop
    assert state.model.weight.item() == 2


def test_snapshots_are_copies():
    model, snapshots = network(), Snapshots([1, 3])
    trained(model, callbacks=[snapshots])
    assert list(snapshots.weights) == [1, 3]
    one = network()
    trained(one, epochs=1)
    torch.testing.assert_close(snapshots.weights[1], weights(one), rtol=0, atol=0)
    assert not torch.equal(snapshots.weights[3]["0.weight"], model[0].weight)


def run_with_everything(path, epochs, interrupt=None):
    """Dropout (torch's generator), NumPy's and Python's generators, a schedule and two callbacks with state."""
    import random

    torch.manual_seed(9)
    np.random.seed(9)
    random.seed(9)
    model = network(dropout=0.4)
    optimizer = sgd(model)
    calls = iter(range(10**9))

    def loss(output, target):
        if interrupt is not None and next(calls) == interrupt[0]:
            raise interrupt[1]
        return F.cross_entropy(output * (1 + 0.1 * np.random.random() + 0.1 * random.random()), target)

    stopping, snapshots = EarlyStopping(50, monitor="loss"), Snapshots(range(1, 7))
    history = fit(
        model, loss, (X, Y), epochs=epochs, optimizer=optimizer, batch_size=16, checkpoint=path,
        scheduler=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8), callbacks=[stopping, snapshots],
    )  # fmt: skip
    return history, weights(model), stopping.state_dict(), snapshots.weights, optimizer.state_dict()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("power cut")])
def test_resumes_to_the_very_same_numbers(tmp_path, error):
    whole = run_with_everything(tmp_path / "whole.pt", 6)
    path = tmp_path / "new folder" / "deeper" / "part.pt"
    with pytest.raises(type(error)):
        run_with_everything(path, 6, interrupt=(4 * 3 + 2, error))  # epoch 4, batch 3
    assert torch.load(path, weights_only=True)["epoch"] == 3, "the last good checkpoint stays"
    assert [p.name for p in path.parent.iterdir()] == ["part.pt"], "nothing half-written stays"
    resumed = run_with_everything(path, 6)
    assert resumed[0] == whole[0]
    for ours, theirs in zip(resumed[1:], whole[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_finished_run_is_not_run_again(tmp_path):
    path = tmp_path / "run.pt"
    whole = run_with_everything(path, 3)
    again = run_with_everything(path, 3, interrupt=(0, AssertionError("trained again")))
    assert again[0] == whole[0]
    torch.testing.assert_close(again[1], whole[1], rtol=0, atol=0)


def test_a_stopped_run_stays_stopped(tmp_path):
    def stop(state):
        state.stop = True

    path = tmp_path / "run.pt"
    assert len(trained(network(), callbacks=[stop], checkpoint=path)["loss"]) == 1
    assert len(trained(network(), callbacks=[stop], checkpoint=str(path))["loss"]) == 1


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    trained(network(), epochs=1, checkpoint=path)
    before, real = path.read_bytes(), torch.save

    def full(content, where):
        Path(where).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        trained(network(), epochs=2, checkpoint=path)
    monkeypatch.setattr(torch, "save", real)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match=f"^checkpoint {re.escape(str(path))} is not one that fit wrote: "):
        trained(network(), checkpoint=path)
    assert path.read_bytes() == b"not a checkpoint"
    torch.save({"epoch": 1}, path)
    with pytest.raises(ValueError, match="is not one that fit wrote"):
        trained(network(), checkpoint=path)
    path.unlink()
    trained(network(), epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match=r"is of another model or other callbacks; name another file or remove it$"):
        trained(nn.Linear(4, 2), checkpoint=path)
    with pytest.raises(ValueError, match=r"is of another model or other callbacks"):
        trained(network(), checkpoint=path, callbacks=[Snapshots([1])])
    wide = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Dropout(), nn.Linear(9, 2))
    with pytest.raises(ValueError, match=r"is of another model or optimizer: "):
        trained(wide, checkpoint=path)


def test_a_checkpoint_holds_the_generators_of_all_gpus(tmp_path, monkeypatch):
    """There need be no GPU: what is asked of CUDA is noted."""
    states, given = [torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)], []
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", given.append)
    path, model = tmp_path / "run.pt", network()
    state = State(1, model, sgd(model))
    _checkpoint.save(path, state, None, [])
    _checkpoint.resume(path, state, None, [], torch.device("cpu"))
    assert given == []
    _checkpoint.resume(path, state, None, [], torch.device("cuda"))
    torch.testing.assert_close(given, [states])


def test_a_checkpoint_is_read_on_the_cpu_and_runs_no_code(tmp_path, monkeypatch):
    asked, real = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: asked.append(kwargs) or real(*args, **kwargs))
    path = tmp_path / "run.pt"
    trained(network(), epochs=1, checkpoint=path)
    trained(network(), epochs=2, checkpoint=path)
    assert asked == [{"map_location": "cpu", "weights_only": True}]


def test_a_schedule_may_be_added_or_left_out_on_resuming(tmp_path):
    def schedule(optimizer):
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)

    for first, second in ((True, False), (False, True)):
        path = tmp_path / f"{first}.pt"
        model = network()
        optimizer = sgd(model)
        trained(model, 1, optimizer=optimizer, checkpoint=path, scheduler=schedule(optimizer) if first else None)
        model = network()
        optimizer = sgd(model)
        history = trained(
            model, 2, optimizer=optimizer, checkpoint=path, scheduler=schedule(optimizer) if second else None
        )
        assert len(history["loss"]) == 2


@pytest.mark.own_process
def test_control_c_leaves_the_last_good_checkpoint(tmp_path):
    """A real signal to a real process in the middle of an epoch."""
    path = tmp_path / "run.pt"
    code = f"""
import time, torch
from torch import nn
from dlref.train import fit
model = nn.Linear(2, 1)
def loss(a, b):
    time.sleep(0.01)
    return (a - b).square().mean()
fit(model, loss, (torch.ones(40, 2), torch.ones(40, 1)), batch_size=4, epochs=1000,
    optimizer=torch.optim.SGD(model.parameters(), lr=0.01), checkpoint={str(path)!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in error
    content = torch.load(path, weights_only=True)
    assert len(content["history"]["loss"]) == content["epoch"] >= 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_stops_at_a_loss_that_is_not_finite(value, tmp_path):
    calls = iter(range(100))

    def loss(output, target):
        return F.cross_entropy(output, target) + (float(value) if next(calls) == 6 else 0)

    model = network()
    with pytest.raises(FloatingPointError, match=f"^loss is {value} at epoch 2, batch 3$"):
        fit(model, loss, (X, Y), optimizer=sgd(model), epochs=3, batch_size=16, checkpoint=tmp_path / "run.pt")
    assert all(p.isfinite().all() for p in model.parameters()), "the step was not taken"


def test_evaluate_weighs_batches_by_their_size_and_leaves_modes_alone(close):
    model = network(dropout=0.5)
    model[2].eval()
    got = evaluate(model, F.cross_entropy, (X, Y), metrics={"accuracy": accuracy}, batch_size=7)
    assert [m.training for m in model.modules()] == [True, True, True, False, True]
    with evaluating(model):
        output = model(X)
        assert not output.requires_grad
    assert torch.is_grad_enabled()
    close(got["loss"], F.cross_entropy(output, Y).item(), rtol=1e-6)
    close(got["accuracy"], (output.argmax(1) == Y).double().mean().item(), rtol=1e-6)
    assert list(evaluate(model, F.cross_entropy, (X, Y))) == ["loss"]
    with pytest.raises(ZeroDivisionError), evaluating(model):
        _ = 1 / 0
    assert [m.training for m in model.modules()] == [True, True, True, False, True]


def test_predict_is_the_model_in_parts(close):
    model = network(dropout=0.5)
    outputs = predict(model, X, batch_size=7)
    assert model.training
    model.eval()
    close(outputs, model(X).detach(), rtol=1e-6, atol=1e-7)
    assert not outputs.requires_grad


def test_accuracy_counts_also_per_pixel():
    output = torch.tensor([[[1.0, 0.0], [2.0, 3.0]], [[0.0, 1.0], [4.0, 0.0]]])  # B 2, classes 2, positions 2
    assert accuracy(output, torch.tensor([[1, 1], [0, 0]])).item() == 0.75
    with pytest.raises(ValueError, match=r"^target must have shape \(2, 2\), got torch.int64 tensor of shape \(2,\)$"):
        accuracy(output, torch.tensor([1, 0]))


SCRIPT = """
import os, sys, torch
from torch import nn
from torch.nn import functional as F
from dlref.train import EarlyStopping, accuracy, fit
torch.manual_seed(0)
x = torch.randn(25, 4, generator=torch.Generator().manual_seed(1))   # batches of 8, 8, 8 and 1
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
history = fit(model, F.cross_entropy, (x, y), (x[:11], y[:11]), optimizer=optimizer, epochs=6, batch_size=8,
              metrics={"accuracy": accuracy}, checkpoint=sys.argv[1], callbacks=[EarlyStopping(4)])
torch.save({"history": history, "weights": model.state_dict()}, f"{sys.argv[1]}.{os.environ.get('RANK', 'alone')}")
"""


@pytest.mark.own_process
def test_two_processes_find_the_losses_of_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "DLREF_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([sys.executable, script, tmp_path / "one"], check=True, env=environment)
    ran = subprocess.run(
        [*torchrun, script, tmp_path / "two"], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    one, *two = (torch.load(tmp_path / name, weights_only=True) for name in ("one.alone", "two.0", "two.1"))
    for rank in two:
        torch.testing.assert_close(rank["history"], one["history"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(rank["weights"], one["weights"], rtol=1e-5, atol=1e-5)
    kept = torch.load(tmp_path / "two", weights_only=True)
    assert set(kept["model"]) == set(one["weights"]), "the checkpoint is that of the plain model"


def test_bar_is_quiet_without_a_terminal(capfd):
    trained(network(), epochs=1)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_bar_shows_loss_and_rate_on_a_terminal(monkeypatch):
    import dlref.train

    made = []

    class Bar(dlref.train.tqdm):
        def __init__(self, *args, **kwargs):
            made.append((self, kwargs))
            super().__init__(*args, **{**kwargs, "disable": False, "file": open(os.devnull, "w"), "delay": 0})  # noqa: SIM115, PTH123

    monkeypatch.setattr(dlref.train, "tqdm", Bar)
    trained(network(), epochs=2)
    bar, kwargs = made[0]
    assert (kwargs["disable"], kwargs["delay"], kwargs["unit"]) == (None, 2, "batch")
    assert (bar.n, bar.total) == (8, 8)
    assert re.fullmatch(r"loss=\d\.\d{4}", bar.postfix)
    bar.fp.close()


MODEL = network()
REFUSED = {
    "model": ({"model": 3}, TypeError, "model must be a torch.nn.modules.module.Module, got 3 (int)"),
    "loss": ({"loss": 0.5}, TypeError, "loss must be callable, got 0.5 (float)"),
    "optimizer": ({"optimizer": "adam"}, TypeError, "optimizer must be a torch.optim.optimizer.Optimizer, got 'adam'"),
    "other": ({"optimizer": sgd(network())}, ValueError, "optimizer must hold parameters of model, got none of them"),
    "callback": ({"callbacks": [5]}, TypeError, "callbacks must be callable, got 5 (int)"),
    "list": ({"train": [X, Y]}, TypeError, "train must be a pair of tensors (inputs, targets) or a Dataset, got ["),
    "three": ({"train": (X, X, Y)}, TypeError, "train must be a pair of tensors (inputs, targets) or a Dataset, got ("),
    "arrays": (
        {"train": (X.numpy(), Y)},
        TypeError,
        "train must be a pair of tensors (inputs, targets) or a Dataset, got (float32 array of shape (50, 4), torch",
    ),
    "scalar": ({"train": (X, Y[0])}, TypeError, "train must be a pair of tensors"),
    "lengths": ({"train": (X, Y[:9])}, ValueError, "train must hold as many inputs as targets, got 50 and 9"),
    "empty": ({"train": (X[:0], Y[:0])}, ValueError, "train must not be empty"),
    "no dataset": ({"train": iter([1])}, TypeError, "train must be a pair of tensors (inputs, targets) or a Dataset"),
    "valid": ({"valid": (X, Y[:9])}, ValueError, "valid must hold as many inputs as targets, got 50 and 9"),
    "epochs": ({"epochs": 0}, ValueError, "epochs must be an integer >= 1, got 0"),
    "batch": ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1, got 0"),
    "seed": ({"seed": -1}, ValueError, "seed must be an integer >= 0, got -1"),
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


@pytest.mark.usefixtures("unchecked")
def test_bad_input_elsewhere_names_the_offender():
    for call, error, message in [
        (lambda: evaluate(MODEL, F.cross_entropy, (X, Y[:1])), ValueError, "data must hold as many inputs as targets"),
        (lambda: evaluate(MODEL, F.cross_entropy, (X, Y), batch_size=0), ValueError, "batch_size must be an integer"),
        (lambda: predict(MODEL, X.numpy()), TypeError, "inputs must be a tensor, got float32 array of shape (50, 4)"),
        (lambda: predict(MODEL, X[:0]), ValueError, "inputs must hold at least one example, got torch.float32 tensor"),
        (lambda: predict(MODEL, torch.tensor(1.0)), ValueError, "inputs must hold at least one example"),
        (lambda: predict(MODEL, X, batch_size=0), ValueError, "batch_size must be an integer >= 1, got 0"),
        (lambda: EarlyStopping(0), ValueError, "patience must be an integer >= 1, got 0"),
        (lambda: EarlyStopping(mode="up"), ValueError, "mode must be one of 'min', 'max', got 'up' (str)"),
        (lambda: Snapshots([0]), ValueError, "epochs must be an integer >= 1, got 0"),
    ]:
        with pytest.raises(error, match="^" + re.escape(message)):
            call()


# ---------------------------------------------------------------------------------------- devices, processes, the bar

META, CPU = torch.device("meta"), torch.device("cpu")


class Placed(nn.Linear):
    """Notes where it is sent, and stays."""

    def __init__(self):
        super().__init__(1, 1)
        self.sent = []

    def to(self, device):
        self.sent.append(device)
        return self


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


PAIR = torch.arange(6.0)[:, None], torch.arange(6.0)[:, None]


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

    def batches_of(data, batches, device, num_workers):
        spread.append((device, num_workers))
        return _processes.batches_of(data, batches, device)

    for function in (join, tqdm, evaluate, batches_of):
        monkeypatch.setattr(train, function.__name__, function)
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

    monkeypatch.setattr(train, "tqdm", tqdm)
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

    monkeypatch.setattr(train, "join", lambda _: (0, world, CPU))
    monkeypatch.setattr(train, "DistributedDataParallel", parallel)
    model = nn.Linear(1, 1)
    run(model)
    assert seen == [model] * wrapped


@pytest.mark.usefixtures("unchecked")
def test_a_share_weighs_what_it_says(monkeypatch):
    share = _processes.Share([0], 1, 0.25)
    monkeypatch.setattr(train, "batches_of", lambda *_: [(share, torch.ones(1, 1), torch.zeros(1, 1))])
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    run(model)
    assert model.weight.grad.item() == 0.25 * 2


@pytest.mark.usefixtures("unchecked")
def test_evaluate_and_predict_go_to_the_device_too(monkeypatch):
    joined, spread = [], []

    def batches_of(data, batches, device):
        spread.append(device)
        return _processes.batches_of(data, batches, device)

    monkeypatch.setattr(train, "batches_of", batches_of)
    monkeypatch.setattr(train, "join", lambda device: joined.append(device) or (0, 1, CPU))
    model = Placed()
    train.evaluate(model, nn.functional.mse_loss, PAIR, device=META, batch_size=1)
    assert joined == [META]
    assert spread == [CPU]
    assert model.sent == [CPU]
    monkeypatch.setattr(train, "join", lambda _: (0, 1, META))
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        train.evaluate(nn.Identity(), nn.functional.mse_loss, PAIR)

    monkeypatch.setattr(train, "default_device", lambda: META)
    with pytest.raises(NotImplementedError, match="meta"):
        train.predict(nn.Identity(), PAIR[0])
    with pytest.raises(NotImplementedError, match="meta"):
        train.predict(nn.Identity(), PAIR[0], device=META)
    model = Placed()
    train.predict(model, PAIR[0], device=CPU)
    assert model.sent == [CPU]


def test_examples_at_a_time_by_default():
    sizes = []
    model = nn.Linear(1, 1)
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    x = torch.zeros(300, 1)
    train.predict(model, x)
    train.evaluate(model, nn.functional.mse_loss, (x, x))
    assert sizes == [256, 44, 256, 44]
