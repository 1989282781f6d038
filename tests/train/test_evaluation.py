"""Mirrors dlref/train/evaluation.py."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dlref import train
from dlref.train import (
    Noted,
    accuracy,
    error_rate,
    evaluate,
    evaluating,
    evaluation,
    predict,
    processes,
)
from tests.train.runs import CPU, META, MODEL, PAIR, Placed, X, Y, network


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


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 2)])
def test_accuracy_of_one_score_says_one_above_zero(shape):
    output = torch.tensor([2.0, -1.0, 0.5, -3.0]).reshape(4, *[1] * (len(shape) - 1)).expand(shape)
    target = torch.tensor([1, 0, 1, 1]).reshape(4, *[1] * (len(shape) - 1)).expand(shape)
    assert accuracy(output, target).item() == 0.75
    assert accuracy(output, target.float()).item() == 0.75
    if len(shape) > 1:
        assert accuracy(output, target[:, 0]).item() == 0.75
    with pytest.raises(ValueError, match=r"^target must have shape"):
        accuracy(output, target[:3])


def test_error_rate_weighs_batches_by_their_size_and_does_not_train():
    scores = torch.eye(3).repeat(3, 1)[:7]
    targets = torch.tensor([0, 1, 0, 0, 1, 2, 1])  # the third and the last are wrong
    model = nn.Sequential(nn.Dropout(0.9))
    for size in (1, 2, 5, 500):
        assert error_rate(model, (scores, targets), batch_size=size) == pytest.approx(2 / 7)
    assert model.training
    sizes = []
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    error_rate(model, (torch.zeros(600, 3), torch.zeros(600, dtype=torch.long)))
    assert sizes == [500, 100]
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        error_rate(nn.Identity(), (scores, targets), device=META)


def test_noted_loss_is_the_loss_and_remembers(close):
    loss = Noted(F.mse_loss)
    output = torch.tensor([1.0, 2.0], requires_grad=True)
    value = loss(output, torch.tensor([0.0, 0.0]))
    value.backward()
    close(output.grad, torch.tensor([1.0, 2.0]))
    loss(output, output)
    assert loss.values == [2.5, 0.0]
    assert all(isinstance(value, float) for value in loss.values)


@pytest.mark.usefixtures("unchecked")
def test_bad_input_of_evaluate_and_predict_names_the_offender():
    for call, error, message in [
        (lambda: evaluate(MODEL, F.cross_entropy, (X, Y[:1])), ValueError, "data must hold as many inputs as targets"),
        (lambda: evaluate(MODEL, F.cross_entropy, (X, Y), batch_size=0), ValueError, "batch_size must be an integer"),
        (lambda: evaluate(MODEL, F.cross_entropy, (X, Y), metrics={"loss": accuracy}), ValueError, "metrics must not"),
        (lambda: predict(MODEL, X.numpy()), TypeError, "inputs must be a tensor, got float32 array of shape (50, 4)"),
        (lambda: predict(MODEL, X[:0]), ValueError, "inputs must hold at least one example, got torch.float32 tensor"),
        (lambda: predict(MODEL, torch.tensor(1.0)), ValueError, "inputs must hold at least one example"),
        (lambda: predict(MODEL, X, batch_size=0), ValueError, "batch_size must be an integer >= 1, got 0"),
    ]:
        with pytest.raises(error, match="^" + re.escape(message)):
            call()


@pytest.mark.usefixtures("unchecked")
def test_evaluate_and_predict_go_to_the_device_too(monkeypatch):
    joined, spread = [], []

    def batches_of(data, batches, device, weigh):
        spread.append(device)
        return processes.batches_of(data, batches, device)

    monkeypatch.setattr(evaluation, "batches_of", batches_of)
    monkeypatch.setattr(evaluation, "join", lambda device: joined.append(device) or (0, 1, CPU))
    model = Placed()
    train.evaluate(model, nn.functional.mse_loss, PAIR, device=META, batch_size=1)
    assert joined == [META]
    assert spread == [CPU]
    assert model.sent == [CPU]
    monkeypatch.setattr(evaluation, "join", lambda _: (0, 1, META))
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        train.evaluate(nn.Identity(), nn.functional.mse_loss, PAIR)

    monkeypatch.setattr(evaluation, "default_device", lambda: META)
    with pytest.raises(NotImplementedError, match="meta"):
        train.predict(nn.Identity(), PAIR[0])
    with pytest.raises(NotImplementedError, match="meta"):
        train.predict(nn.Identity(), PAIR[0], device=META)
    model = Placed()
    train.predict(model, PAIR[0], device=CPU)
    assert model.sent == [CPU]


class Ten(torch.utils.data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor([float(index)]), torch.tensor([0.0])


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield torch.zeros(1), torch.zeros(1)


@pytest.mark.usefixtures("unchecked")
def test_length_of_data_and_what_is_no_data():
    x = torch.zeros(3, 2)
    assert evaluation.length("data", (x, x)) == 3
    assert evaluation.length("data", (x[:1], x[:1])) == 1
    assert evaluation.length("data", Ten()) == 10
    pair = "data must be a tuple of tensors (inputs, targets), a Dataset or a DataLoader, got "
    tensor = "torch.float32 tensor of shape (3, 2)"
    for data, error, message in [
        ((x,), TypeError, pair + f"({tensor})"),
        ((x, 3), TypeError, pair + f"({tensor}, 3 (int))"),
        ((x, torch.tensor(1.0)), TypeError, pair),
        ([x, x], TypeError, pair + "["),
        (Stream(), TypeError, pair),
        (x, TypeError, pair + tensor),
        ((x[:0], x[:0]), ValueError, "data must not be empty"),
        ((x, x[:2]), ValueError, "data must hold as many inputs as targets, got 3 and 2"),
    ]:
        with pytest.raises(error, match="^" + re.escape(message)):
            evaluation.length("data", data)


def test_examples_at_a_time_by_default():
    sizes = []
    model = nn.Linear(1, 1)
    model.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    x = torch.zeros(300, 1)
    train.predict(model, x)
    train.evaluate(model, nn.functional.mse_loss, (x, x))
    assert sizes == [256, 44, 256, 44]


def test_losses_are_averaged_by_their_weights(close):
    loss = nn.CrossEntropyLoss(torch.tensor([1.0, 5.0]))
    model = network()
    want = loss(model(X), Y).item()
    for judge in (loss, Noted(loss)):
        close(evaluate(model, judge, (X, Y), batch_size=7)["loss"], want, rtol=1e-6)
    ignored = Y.clone()
    ignored[:5] = -100
    close(
        evaluate(model, F.cross_entropy, (X, ignored), batch_size=7)["loss"],
        F.cross_entropy(model(X), ignored).item(),
        rtol=1e-6,
    )


def test_a_loader_makes_its_own_batches(close):
    loader = DataLoader(TensorDataset(X, Y), 7)
    seen = []
    model = network()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    close(evaluate(model, F.cross_entropy, loader)["loss"], F.cross_entropy(model(X), Y).item(), rtol=1e-6)
    assert seen[:-1] == [7] * 7 + [1]


def test_a_score_of_zero_says_zero():
    assert accuracy(torch.tensor([0.0, 0.0]), torch.tensor([0, 1])).item() == 0.5
    with pytest.raises(ValueError, match=r"^target must have shape \(2,\), got"):
        accuracy(torch.tensor([0.0, 1.0]), torch.tensor(1))
