"""Mirrors dlref/train/callbacks.py."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from dlref.train import Callback, EarlyStopping, Snapshots, State
from tests.train.runs import network, sgd, trained, weights


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
    if hasattr(callback, "finish"):
        callback.finish(state)
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


@pytest.mark.parametrize("ending", ["epochs", "another callback", "error"])
def test_early_stopping_restores_the_best_however_training_ends(ending):
    """The loss rises from the second epoch on."""
    best = {}

    def watch(state):
        if state.epoch == 1:
            best.update(weights(model))
        state.stop = state.stop or (ending == "another callback" and state.epoch == 3)
        if ending == "error" and state.epoch == 3:
            raise RuntimeError("power cut")

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=30.0)
    arguments = {"optimizer": optimizer, "callbacks": [EarlyStopping(10, monitor="loss"), watch]}
    if ending == "error":
        with pytest.raises(RuntimeError, match="power cut"):
            trained(model, 3, **arguments)
    else:
        history = trained(model, 3, **arguments)
        assert history["loss"][0] == min(history["loss"])
    torch.testing.assert_close(weights(model), best, rtol=0, atol=0)


def test_an_instance_starts_afresh():
    stopping, first, second = EarlyStopping(2, monitor="loss"), network(), network()
    trained(first, 3, callbacks=[stopping])
    kept = weights(first)
    alone = trained(network(), 3, callbacks=[EarlyStopping(2, monitor="loss")])
    again = trained(second, 3, callbacks=[stopping])
    assert again == alone
    torch.testing.assert_close(weights(second), kept, rtol=0, atol=0)
    snapshots = Snapshots([1])
    trained(network(), 1, callbacks=[snapshots])
    trained(model := nn.Sequential(nn.Linear(4, 2)), 1, optimizer=sgd(model), callbacks=[snapshots])
    assert list(snapshots.weights[1]) == ["0.weight", "0.bias"]
    snapshots.begin(State(0, first, sgd(first)))
    assert snapshots.weights == {}


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_an_improvement_must_exceed_min_delta(mode, sign):
    """In binary fractions, so that a step of exactly a quarter is one."""
    stopping = EarlyStopping(2, mode=mode, min_delta=0.25)
    state = feed(stopping, [sign * value for value in (4.0, 3.75, 3.5, 3.25)])
    assert (state.epoch, stopping.best_epoch, state.stop) == (4, 3, False)
    assert stopping.best == sign * 3.5
    assert EarlyStopping().min_delta == 0


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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EarlyStopping(0), "patience must be an integer >= 1, got 0"),
        (lambda: EarlyStopping(min_delta=-1.0), "min_delta must be a number in [0, inf), got -1.0"),
        (lambda: EarlyStopping(mode="up"), "mode must be one of 'min', 'max', got 'up' (str)"),
        (lambda: Snapshots([0]), "epochs must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_names_the_offender(call, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


def test_any_function_of_the_state_is_a_callback():
    assert isinstance(print, Callback)
    assert not isinstance(3, Callback)


def test_states_are_kept_by_name_and_taken_up_again():
    """Their names stand in the checkpoints of those who have saved some."""
    stopping = EarlyStopping(3, monitor="loss")
    assert stopping.weights == {}
    stopping.begin(State(0, network(), sgd(network())))
    assert stopping.state_dict() == {"best": float("inf"), "best_epoch": 0, "weights": {}}
    kept = {"best": 0.5, "best_epoch": 4, "weights": {"a": 1}}
    stopping.load_state_dict(kept)
    assert (stopping.best, stopping.best_epoch, stopping.weights) == (0.5, 4, {"a": 1})
    assert stopping.state_dict() == kept
    assert stopping.weights is not kept["weights"]
    snapshots = Snapshots([1])
    assert snapshots.state_dict() == {"weights": {}}
    snapshots.load_state_dict({"weights": {1: {"a": 2}}})
    assert snapshots.weights == {1: {"a": 2}}
    assert snapshots.state_dict() == {"weights": {1: {"a": 2}}}
