"""Mirrors dlref/strategy/learning_from_tasks.py."""

import itertools
import re
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.strategy import MultiTask, multi_task_loss, sum_distribution
from dlref.train import fit_seeds

NAN = float("nan")
TASKS = {"kind": "class", "flag": "binary", "size": "number"}


def net(width: int = 4) -> MultiTask:
    heads = {"kind": nn.Linear(width, 3), "flag": nn.Linear(width, 1), "size": nn.Linear(width, 1)}
    return MultiTask(nn.Linear(2, width), heads)


def drawn(size: int, seed: int = 0):
    """Outputs of three tasks, and targets of which about a third are not known."""
    g = torch.Generator().manual_seed(seed)
    outputs = {
        "kind": torch.randn(size, 3, generator=g),
        "flag": torch.randn(size, 1, generator=g),
        "size": torch.randn(size, generator=g),
    }
    columns = [torch.randint(3, (size,), generator=g), torch.randint(2, (size,), generator=g)]
    targets = torch.stack([*[c.float() for c in columns], torch.randn(size, generator=g)], 1)
    targets[torch.rand(size, 3, generator=g) < 0.35] = NAN
    return outputs, targets


# ------------------------------------------------------------------------------------------------ MultiTask


def test_every_head_sees_the_same_trunk():
    model, x = net(), torch.randn(5, 2)
    outputs = model(x)
    assert list(outputs) == list(TASKS)
    for task, output in outputs.items():
        torch.testing.assert_close(output, model.heads[task](model.trunk(x)))
    assert set(model.state_dict()) >= {"trunk.weight", "heads.kind.weight", "heads.size.bias"}


def test_the_trunk_runs_once():
    calls = []
    model = net()
    model.trunk.register_forward_hook(lambda *_: calls.append(1))
    model(torch.randn(3, 2))
    assert calls == [1]


# ------------------------------------------------------------------------------------------------ multi_task_loss


@pytest.mark.verifies("eq-multi-task-loss")
@pytest.mark.parametrize("seed", range(5))
def test_loss_is_the_sum_of_means_over_what_is_known(seed):
    outputs, targets = drawn(9, seed)
    weights = {"flag": 0.5, "size": 3.0}
    expected = torch.zeros(())
    losses = (F.cross_entropy, F.binary_cross_entropy_with_logits, F.mse_loss)
    for column, (task, loss) in enumerate(zip(TASKS, losses, strict=True)):
        known = ~targets[:, column].isnan()
        output, target = outputs[task][known], targets[known, column]
        target = target.long() if task == "kind" else target.reshape(output.shape)
        expected += weights.get(task, 1.0) * loss(output, target)
    found = multi_task_loss(outputs, targets, tasks=TASKS, weights=weights)
    torch.testing.assert_close(found, expected)


def test_what_is_not_known_moves_nothing():
    outputs, targets = drawn(9)
    for output in outputs.values():
        output.requires_grad_()
    multi_task_loss(outputs, targets, tasks=TASKS).backward()
    for column, task in enumerate(TASKS):
        unknown = targets[:, column].isnan()
        assert unknown.any()
        assert (outputs[task].grad[unknown] == 0).all()
        assert (outputs[task].grad[~unknown] != 0).any()


def test_a_task_without_targets_in_the_batch_adds_nothing():
    outputs = {"kind": torch.randn(4, 3, requires_grad=True), "size": torch.zeros(4, requires_grad=True)}
    targets = torch.tensor([[NAN, 2.0]] * 4)
    loss = multi_task_loss(outputs, targets, tasks={"kind": "class", "size": "number"})
    assert loss.item() == 4.0
    loss.backward()
    assert (outputs["kind"].grad == 0).all()
    assert (outputs["size"].grad == -1.0).all()  # 2 (0 - 2) / 4


@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("kind", ["class", "binary", "number"])
def test_an_output_whose_target_is_not_known_may_be_anything(kind, bad):
    width = 3 if kind == "class" else 1
    output = torch.zeros(2, width)
    output[1] = bad
    output.requires_grad_()
    loss = multi_task_loss({"a": output}, torch.tensor([[1.0], [NAN]]), tasks={"a": kind})
    loss.backward()
    assert loss.isfinite()
    assert (output.grad[0] != 0).any()
    assert (output.grad[1] == 0).all()


def test_minus_a_hundred_is_a_class_that_is_not_known():
    output, tasks = torch.zeros(2, 3), {"a": "class"}
    found = multi_task_loss({"a": output}, torch.tensor([[2.0], [-100.0]]), tasks=tasks)
    assert found.item() == pytest.approx(np.log(3))
    as_number = multi_task_loss({"a": output[:, 0]}, torch.tensor([[0.0], [-100.0]]), tasks={"a": "number"})
    assert as_number.item() == 5000.0


def test_a_task_of_weight_zero_is_left_out():
    outputs = {"a": torch.tensor([float("inf")]), "b": torch.tensor([2.0])}
    tasks = {"a": "number", "b": "number"}
    assert multi_task_loss(outputs, torch.zeros(1, 2), tasks=tasks, weights={"a": 0.0}).item() == 4.0


def test_columns_are_in_the_order_of_the_tasks():
    outputs = {"b": torch.zeros(1), "a": torch.zeros(1)}
    loss = partial(multi_task_loss, outputs, torch.tensor([[1.0, 3.0]]), tasks={"a": "number", "b": "number"})
    assert loss().item() == 10.0
    assert loss(weights={"a": 10.0}).item() == 19.0
    assert loss(weights={"a": 0.0}).item() == 9.0


def test_units_of_a_target():
    """Of the same error in metres and in millimetres."""
    for target, loss, slope in ((1.0, 1.0, -2.0), (1000.0, 1e6, -2000.0)):
        output = torch.zeros(1, requires_grad=True)
        found = multi_task_loss({"size": output}, torch.tensor([[target]]), tasks={"size": "number"})
        found.backward()
        assert (found.item(), output.grad.item()) == (loss, slope)


def test_seeds_are_trained_side_by_side():
    x = torch.randn(64, 2)
    targets = torch.stack([(x[:, 0] > -0.5).float() + (x[:, 0] > 0.5), (x[:, 0] > 0).float(), x[:, 1]], 1)
    targets[::3, 1] = NAN
    loss = partial(multi_task_loss, tasks=TASKS)
    runs = fit_seeds(
        net, loss, (x, targets), optimizer=lambda p: torch.optim.Adam(p, lr=0.02), seeds=2, steps=400, batch_size=16
    )
    for run in runs:
        found = run.model(x)
        assert (found["kind"].argmax(1) == targets[:, 0]).float().mean() > 0.9
        assert ((found["flag"][:, 0] > 0) == (x[:, 0] > 0)).float().mean() > 0.9
        assert (found["size"][:, 0] - x[:, 1]).abs().mean() < 0.1


# ------------------------------------------------------------------------------------------------ sum_distribution


@pytest.mark.verifies("eq-sum-distribution")
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_sum_is_the_convolution(k, m, seed):
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(k), 3), rng.dirichlet(np.ones(m), 3)
    found = sum_distribution(torch.tensor(p), torch.tensor(q))
    assert found.shape == (3, k + m - 1)
    for row in range(3):
        np.testing.assert_allclose(found[row], np.convolve(p[row], q[row]), atol=1e-14)


def test_sum_of_two_dice():
    die = torch.full((6,), 1 / 6, dtype=torch.float64)
    counts = [sum(1 for a, b in itertools.product(range(6), repeat=2) if a + b == s) for s in range(11)]
    torch.testing.assert_close(sum_distribution(die, die) * 36, torch.tensor(counts, dtype=torch.float64))


def test_sum_of_what_is_certain_is_certain():
    p, q = F.one_hot(torch.tensor([3, 9]), 10).float(), F.one_hot(torch.tensor([4, 9]), 10).float()
    assert sum_distribution(p, q).argmax(1).tolist() == [7, 18]


# ------------------------------------------------------------------------------------------------ on the page


@pytest.mark.verifies("eq-running-mean-drift")
@pytest.mark.parametrize("start", [0.0, 2.0])
@pytest.mark.parametrize(("mean", "momentum", "batches"), [(5.0, 0.1, 50), (4.0, 0.01, 100), (-2.0, 0.5, 3)])
def test_running_mean_of_a_frozen_layer_drifts(start, mean, momentum, batches):
    layer = nn.BatchNorm1d(1, momentum=momentum, dtype=torch.float64).requires_grad_(False)
    layer.running_mean.fill_(start)
    for _ in range(batches):
        layer(torch.full((4, 1), mean, dtype=torch.float64))
    assert layer.running_mean.item() == pytest.approx(mean - (mean - start) * (1 - momentum) ** batches)


@pytest.mark.verifies("eq-steps")
@pytest.mark.parametrize("right", [(0.95, 0.95, 0.95), (0.5,), (0.9, 0.2, 0.7, 0.99)])
def test_independent_steps_are_all_right_with_the_product(right):
    draws = np.random.default_rng(0).random((200_000, len(right))) < right
    share, expected = draws.all(1).mean(), np.prod(right)
    assert share == pytest.approx(expected, abs=5 * (expected * (1 - expected) / 200_000) ** 0.5)


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MultiTask(3, {"a": nn.Identity()}), TypeError, "trunk must be a torch.nn.Module, got 3 (int)"),
        (lambda: MultiTask(nn.Identity(), {"a": None}), TypeError, "a must be a torch.nn.Module, got None (NoneType)"),
        (lambda: MultiTask(nn.Identity(), {}), ValueError, "heads must have a task, got none"),
        (
            lambda: multi_task_loss({"a": torch.zeros(2)}, torch.zeros(2, 2), tasks={"a": "number"}),
            ValueError,
            "targets must have a column for each of the tasks ['a'], got shape (2, 2)",
        ),
        (
            lambda: multi_task_loss({}, torch.zeros(2, 0), tasks={}),
            ValueError,
            "targets must have a column for each of the tasks [], got shape (2, 0)",
        ),
        (
            lambda: multi_task_loss({"a": torch.zeros(2)}, torch.zeros(2), tasks={"a": "number"}),
            ValueError,
            "targets must have a column for each of the tasks ['a'], got shape (2,)",
        ),
        (
            lambda: multi_task_loss({"b": torch.zeros(2)}, torch.zeros(2, 1), tasks={"a": "number"}),
            ValueError,
            "outputs must be of the tasks ['a'], got ['b']",
        ),
        (
            lambda: multi_task_loss({}, torch.zeros(2, 1), tasks={"a": "number"}),
            ValueError,
            "outputs must be of the tasks ['a'], got []",
        ),
        (
            lambda: multi_task_loss(
                {"a": torch.zeros(2)}, torch.zeros(2, 1), tasks={"a": "number"}, weights={"b": 1.0}
            ),
            ValueError,
            "weights must be of the tasks ['a'], got ['b']",
        ),
        (
            lambda: multi_task_loss(
                {"a": torch.zeros(2)}, torch.zeros(2, 1), tasks={"a": "number"}, weights={"a": -1.0}
            ),
            ValueError,
            "weights['a'] must be",
        ),
        (
            lambda: multi_task_loss({"a": torch.zeros(2)}, torch.zeros(2, 1), tasks={"a": "ordinal"}),
            ValueError,
            "tasks['a'] must be one of 'class', 'binary', 'number', got 'ordinal'",
        ),
        (
            lambda: MultiTask(3, {"trunk": nn.Identity()}),
            TypeError,
            "trunk must be a torch.nn.Module, got 3 (int)",
        ),
        *[
            (lambda task=task: MultiTask(nn.Identity(), {task: nn.Identity()}), ValueError, "heads must have names")
            for task in ("", "a.b", "keys", "type")
        ],
        (
            lambda: multi_task_loss({"a": torch.zeros(2)}, torch.zeros(2, 1).long(), tasks={"a": "number"}),
            TypeError,
            "targets must be floating point, got torch.int64",
        ),
        (
            lambda: multi_task_loss({"a": torch.zeros(1, 2)}, torch.zeros(2, 1), tasks={"a": "number"}),
            ValueError,
            "outputs['a'] must be of shape (2,) or (2, 1), got (1, 2)",
        ),
        (
            lambda: multi_task_loss({"a": torch.zeros(2)}, torch.zeros(2, 1), tasks={"a": "class"}),
            ValueError,
            "outputs['a'] must be of shape (2, classes), got (2,)",
        ),
        (
            lambda: sum_distribution(torch.ones(2, 3), torch.ones(2, 0)),
            ValueError,
            "p and q must have the same leading axes and at least one value, got (2, 3) and (2, 0)",
        ),
        (
            lambda: sum_distribution(torch.ones(2, 3), torch.ones(3, 3)),
            ValueError,
            "p and q must have the same leading axes and at least one value, got (2, 3) and (3, 3)",
        ),
        (
            lambda: sum_distribution(torch.ones(()), torch.ones(3)),
            ValueError,
            "p and q must have the same leading axes and at least one value, got () and (3,)",
        ),
    ],
)
def test_bad_input_names_the_offender(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
