"""Mirrors dlref/train/checkpoint.py."""

import copy
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.optimization import StepDecay
from dlref.train import EarlyStopping, Snapshots, State, fit
from dlref.train import checkpoint as checkpoints
from tests.train.runs import X, Y, network, sgd, trained, weights


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
    wide = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Dropout(), nn.Linear(9, 2))
    adam, half, two = network(), network(), network()
    groups = [{"params": [p]} for p in two.parameters()]
    for model, settings, trouble in (
        (nn.Linear(4, 2), {}, "of model and checkpoint only one has 0.bias"),
        (wide, {}, r"0.bias has shape \(8,\) there and \(9,\) in the model"),
        (network(), {"callbacks": [Snapshots([1])]}, r"its callbacks is \[\], not \[.*Snapshots'\]"),
        (adam, {"optimizer": torch.optim.Adam(adam.parameters())}, "its optimizer is torch.optim.sgd.SGD, not .*Adam"),
        (half, {"optimizer": sgd(half[0])}, r"its optimizer has groups of \[4\] parameters, not \[2\]"),
        (
            two,
            {"optimizer": torch.optim.SGD(groups)},
            r"its optimizer has groups of \[4\] parameters, not \[1, 1, 1, 1\]",
        ),
    ):
        settings = {"optimizer": sgd(model), **settings}
        before = copy.deepcopy((weights(model), settings["optimizer"].state_dict(), torch.get_rng_state()))
        with pytest.raises(ValueError, match=rf"is of another run: {trouble}; name another file or remove it$"):
            trained(model, checkpoint=path, **settings)
        after = (weights(model), settings["optimizer"].state_dict(), torch.get_rng_state())
        torch.testing.assert_close(after, before, rtol=0, atol=0, msg="nothing was changed")


def test_another_schedule_is_refused(tmp_path):
    def schedule(kind, model):
        optimizer = sgd(model)
        return {"optimizer": optimizer, "scheduler": kind(optimizer)}

    step = partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    trained(model := network(), epochs=1, checkpoint=tmp_path / "run.pt", **schedule(step, model))
    with pytest.raises(ValueError, match=r"its scheduler is torch.optim.lr_scheduler.StepLR, not .*StepDecay; name"):
        trained(model := network(), checkpoint=tmp_path / "run.pt", **schedule(partial(StepDecay, step_size=1), model))


@pytest.mark.parametrize("wrapped", [False, True])
def test_names_of_wrapped_models_are_read(tmp_path, wrapped):
    """Written by a model of several processes or a compiled one, read by the plain one; and the other way round."""

    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = nn.Module()
            self.module._orig_mod = module

        def forward(self, x):
            return self.module._orig_mod(x)

    path, first, second = tmp_path / "run.pt", network(), network()
    pair = [Wrapper(first), second] if wrapped else [first, Wrapper(second)]
    trained(pair[0], epochs=2, checkpoint=path)
    trained(pair[1], epochs=2, checkpoint=path)
    torch.testing.assert_close(weights(second), weights(first), rtol=0, atol=0)


def test_numbers_of_numpy_can_be_read_back(tmp_path):
    def note(state):
        state.history.setdefault("note", []).append(np.float64(0.5))

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=np.float64(0.1))
    trained(model, 1, optimizer=optimizer, checkpoint=tmp_path / "run.pt", callbacks=[note])
    history = trained(model, 2, optimizer=optimizer, checkpoint=tmp_path / "run.pt", callbacks=[note])
    assert history["note"] == [0.5, 0.5]


def test_steps_are_counted_over_an_interruption(tmp_path):
    """Four steps are an epoch and one more, and that epoch ends there."""
    model = network()
    trained(model, None, steps=4, batch_size=17, checkpoint=tmp_path / "run.pt")
    model = network()
    seen = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    trained(model, None, steps=9, batch_size=17, checkpoint=tmp_path / "run.pt")
    assert seen == [17, 17, 16, 17, 17]


def test_what_refuses_late_changes_nothing(tmp_path):
    """A schedule of several parts has the same type and another number of parts."""

    def schedule(optimizer, parts):
        kinds = [torch.optim.lr_scheduler.ConstantLR(optimizer, 0.5) for _ in range(parts)]
        return torch.optim.lr_scheduler.SequentialLR(optimizer, kinds, milestones=list(range(1, parts)))

    first, second = network(), network()
    optimizer = sgd(first, 0.5)
    trained(first, 1, optimizer=optimizer, scheduler=schedule(optimizer, 2), checkpoint=tmp_path / "run.pt")
    optimizer = sgd(second, 0.01)
    parts = schedule(optimizer, 1)
    before = copy.deepcopy((optimizer.state_dict(), weights(second)))
    with pytest.raises(ValueError, match=r"run.pt is of another run: .*; name another file or remove it$"):
        trained(second, 2, optimizer=optimizer, scheduler=parts, checkpoint=tmp_path / "run.pt")
    torch.testing.assert_close((optimizer.state_dict(), weights(second)), before, rtol=0, atol=0)


def test_best_weights_of_a_wrapped_model_go_into_the_plain_one(tmp_path):
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module

        def forward(self, x):
            return self._orig_mod(x)

    def stopping():
        return [EarlyStopping(50, monitor="loss")]

    inner, plain = network(), network()
    trained(model := Wrapper(inner), 2, optimizer=sgd(model), checkpoint=tmp_path / "run.pt", callbacks=stopping())
    frozen = torch.optim.SGD(plain.parameters(), lr=0.0, momentum=0.9)
    trained(plain, 2, optimizer=frozen, checkpoint=tmp_path / "run.pt", callbacks=stopping())
    torch.testing.assert_close(weights(plain), weights(inner), rtol=0, atol=0)


def test_every_process_has_its_own_random_state(tmp_path, monkeypatch):
    path, model = tmp_path / "run.pt", network()
    state = State(1, model, sgd(model))
    torch.manual_seed(1)
    first = checkpoints._random_state()
    torch.manual_seed(2)
    monkeypatch.setattr(checkpoints, "of_all", lambda own: [first, own])
    checkpoints.save(path, state, None, [])
    for rank, seed in ((0, 1), (1, 2), (2, 1)):
        monkeypatch.setattr(checkpoints, "rank_and_world", lambda rank=rank: (rank, 3))
        checkpoints.resume(path, state, None, [], torch.device("cpu"))
        drawn = torch.rand(3)
        torch.manual_seed(seed)
        assert torch.equal(drawn, torch.rand(3))
    before = path.read_bytes()
    checkpoints.save(path, state, None, [])
    assert path.read_bytes() == before, "only the first process writes"


def test_a_checkpoint_holds_the_generators_of_all_gpus(tmp_path, monkeypatch):
    """There need be no GPU: what is asked of CUDA is noted."""
    states, given = [torch.tensor([1], dtype=torch.uint8), torch.tensor([2], dtype=torch.uint8)], []
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", given.append)
    path, model = tmp_path / "run.pt", network()
    state = State(1, model, sgd(model))
    checkpoints.save(path, state, None, [])
    checkpoints.resume(path, state, None, [], torch.device("cpu"))
    assert given == []
    checkpoints.resume(path, state, None, [], torch.device("cuda"))
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
import signal, time, torch
from torch import nn
from dlref.train import fit
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
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


def test_a_loaders_generator_goes_on_where_it_was(tmp_path):
    """One that the file does not know stays; one that is gone is not missed."""
    model = network()
    state = State(0, model, sgd(model))
    path = tmp_path / "run.pt"
    generator = torch.Generator().manual_seed(5)
    torch.rand(3, generator=generator)
    checkpoints.save(path, state, None, [], [generator])
    want = torch.rand(4, generator=generator)
    again, new = torch.Generator(), torch.Generator().manual_seed(8)
    before = new.get_state()
    checkpoints.resume(path, state, None, [], torch.device("cpu"), [again, new])
    assert torch.equal(torch.rand(4, generator=again), want)
    assert torch.equal(new.get_state(), before)
    checkpoints.resume(path, state, None, [], torch.device("cpu"))


def test_what_a_run_was_made_of_is_named(tmp_path):
    """A function by its own name, an object by that of its class."""

    def watch(state):
        pass

    assert checkpoints._name(watch).endswith("watch")
    assert checkpoints._name(EarlyStopping()).endswith("EarlyStopping")
    assert checkpoints._plain({"a": [np.float64(1.5), (np.int64(2), "b")]}) == {"a": [1.5, (2, "b")]}
    assert type(checkpoints._plain(np.float64(1.5))) is float
    named = torch.Size([1, 2])  # a tuple of a type of its own stays one
    assert checkpoints._plain(named) is named
