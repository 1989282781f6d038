"""Mirrors dlref/detection/localization/losses.py."""

import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from dlref.detection import LossParts, landmark_loss, localization_loss, localization_losses, localization_targets

NAN = float("nan")
# the example of the page: p, box and class; and a guess with these probabilities
TARGET = [1, 0.5, 0.7, 0.3, 0.4, 0, 1, 0]
GUESS = [math.log(0.8 / 0.2), 0.6, 0.7, 0.5, 0.4, math.log(0.1), math.log(0.8), math.log(0.1)]


def example(present: int = 1):
    return torch.tensor([GUESS], dtype=torch.float64), torch.tensor([[present, *TARGET[1:]]], dtype=torch.float64)


@pytest.mark.verifies("eq-localization-loss")
def test_fact_of_the_three_parts():
    parts = localization_losses(*example())
    assert [part.item() for part in parts] == pytest.approx([-math.log(0.8), 0.05, -math.log(0.8)])
    assert localization_loss(*example()).item() == pytest.approx(0.496, abs=5e-4)
    assert localization_loss(*example(), box_weight=10.0).item() == pytest.approx(0.946, abs=5e-4)
    nothing = localization_losses(*example(present=0))
    assert [part.item() for part in nothing] == pytest.approx([-math.log(0.2), 0, 0])
    assert nothing.presence.item() == pytest.approx(1.609, abs=5e-4)


def test_a_batch_is_the_mean_of_torchs_losses(close):
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(20, 11, dtype=torch.float64, generator=generator)
    present = torch.arange(20) % 3 > 0
    label = torch.arange(20) % 6
    target = torch.rand(20, 11, dtype=torch.float64, generator=generator)
    target[:, 0], target[:, 5:] = present, F.one_hot(label, 6)
    box = F.mse_loss(output[:, 1:5], target[:, 1:5], reduction="none").sum(1)
    named = F.cross_entropy(output[:, 5:], label, reduction="none")
    there = F.binary_cross_entropy_with_logits(output[:, 0], target[:, 0], reduction="none")
    wanted = (there + present * (3 * box + named)).mean()
    close(localization_loss(output, target, box_weight=3.0), wanted)


def test_where_there_is_nothing_only_the_presence_learns():
    output, target = (torch.cat((a, b)) for a, b in zip(example(), example(present=0), strict=True))
    output.requires_grad_()
    localization_loss(output, target).backward()
    assert (output.grad[0] != 0).sum() >= 6  # two coordinates are right already
    assert output.grad[1, 0] != 0
    assert not output.grad[1, 1:].any()


def test_what_does_not_count_may_be_nan():
    output, target = example(present=0)
    target[:, 1:] = NAN
    output[:, 3] = NAN
    output.requires_grad_()
    loss = localization_loss(output, target)
    assert loss.item() == pytest.approx(-math.log(0.2))
    loss.backward()
    assert output.grad.isfinite().all()
    target[:, 0] = 1
    assert localization_loss(output, target).isnan()


def test_no_pictures():
    parts = localization_losses(torch.zeros(0, 7), torch.zeros(0, 7))
    assert isinstance(parts, LossParts)
    assert [part.shape for part in parts] == [(0,)] * 3
    assert localization_loss(torch.zeros(0, 7), torch.zeros(0, 7)).item() == 0


def test_a_class_that_is_not_there_may_be_impossible():
    output, target = example()
    output[0, 5] = -torch.inf
    output.requires_grad_()
    loss = localization_losses(output, target).label
    assert loss.item() == pytest.approx(-math.log(0.8 / 0.9))
    loss.sum().backward()
    assert output.grad.isfinite().all()


@pytest.mark.parametrize("function", [localization_losses, localization_loss])
@pytest.mark.parametrize(
    ("output", "target", "error", "message"),
    [
        (
            torch.zeros(2, 7),
            torch.zeros(2, 8),
            ValueError,
            (
                "output and target must have the same shape (B, 1 + 4 + K), with one class at least, "
                "got torch.float32 tensor of shape (2, 7) and torch.float32 tensor of shape (2, 8)"
            ),
        ),
        (torch.zeros(2, 5), torch.zeros(2, 5), ValueError, "output and target must have the same shape"),
        (torch.zeros(7), torch.zeros(7), ValueError, "output must have shape (B, D), got"),
        (torch.zeros(2, 7), torch.zeros(7), ValueError, "target must have shape (B, D), got"),
        (torch.zeros(2, 7), torch.zeros(2, 7).long(), TypeError, "target must hold floating-point numbers, got"),
    ],
)
def test_what_does_not_fit_is_refused(refuses, function, output, target, error, message):
    refuses(function, (output, target), error, message)


def test_weights_are_refused(refuses):
    for weight, error in ((-1.0, ValueError), ("1", TypeError)):
        weighted = partial(localization_loss, box_weight=weight)
        refuses(weighted, example(), error, f"box_weight must be a number in [0, inf), got {weight!r}")


def test_a_weight_of_zero_leaves_the_box_out():
    assert localization_loss(*example(), box_weight=0.0).item() == pytest.approx(-2 * math.log(0.8))


# ------------------------------------------------------------------------------------------------ targets


@pytest.mark.verifies("eq-localization-target")
def test_targets(close):
    boxes = [torch.tensor([[4.0, 2, 12, 10]]), torch.zeros(0, 4), torch.tensor([[0.0, 0, 20, 10]])]
    labels = [torch.tensor([1]), torch.zeros(0, dtype=torch.int64), torch.tensor([2])]
    found = localization_targets(boxes, labels, (10, 20), 3)
    close(found, torch.tensor([[1, 0.4, 0.6, 0.4, 0.8, 0, 1, 0], [0] * 8, [1, 0.5, 0.5, 1, 1, 0, 0, 1]]), atol=1e-7)
    assert localization_targets([], [], (10, 20), 3).shape == (0, 8)


BOX, LABEL = torch.tensor([[4.0, 2, 12, 10]]), torch.tensor([1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([BOX], [], (9, 9), 3), ValueError, "labels must be as many as boxes, 1, got 0"),
        (
            ([BOX.repeat(2, 1)], [LABEL.repeat(2)], (9, 9), 3),
            ValueError,
            "boxes and labels must have one object a picture or none, got 2 boxes and 2 labels",
        ),
        (
            ([BOX], [LABEL[:0]], (9, 9), 3),
            ValueError,
            "boxes and labels must have one object a picture or none, got 1 boxes",
        ),
        (
            ([BOX.flip(1)], [LABEL], (9, 9), 3),
            ValueError,
            (
                "boxes must have their right edge right of the left one, and their bottom below the top, "
                "got [10.0, 12.0, 2.0, 4.0]"
            ),
        ),
        (([BOX * torch.tensor([1, 1, 1, 0.2])], [LABEL], (9, 9), 3), ValueError, "boxes must have their right edge"),
        (([BOX * NAN], [LABEL], (9, 9), 3), ValueError, "boxes must have their right edge"),
        (([BOX[0]], [LABEL], (9, 9), 3), ValueError, "boxes must have shape (objects, four=4), got"),
        (([BOX.long()], [LABEL], (9, 9), 3), TypeError, "boxes must hold floating-point numbers"),
        (([BOX], [LABEL + 2], (9, 9), 3), ValueError, "labels must be an integer in [0, 2], got 3"),
        (([BOX], [LABEL - 2], (9, 9), 3), ValueError, "labels must be an integer in [0, 2], got -1"),
        (([BOX], [LABEL / 2], (9, 9), 3), TypeError, "labels must be an integer in [0, 2], got 0.5"),
        (([BOX], [LABEL], (0, 9), 3), ValueError, "size must be an integer >= 1, got 0"),
        (([BOX], [LABEL], (9, 9), 0), ValueError, "classes must be an integer >= 1, got 0"),
    ],
)
def test_targets_are_refused(refuses, arguments, error, message):
    refuses(localization_targets, arguments, error, message)


def test_one_pixel_is_enough_and_one_class():
    found = localization_targets([torch.tensor([[0.0, 0, 1, 1]])], [torch.tensor([0])], (1, 1), 1)
    assert found.tolist() == [[1, 0.5, 0.5, 1, 1, 1]]


# ------------------------------------------------------------------------------------------------ landmarks


@pytest.mark.verifies("eq-landmark-loss")
def test_landmarks_by_hand():
    target = torch.tensor([[[0.0, 0], [1, 1], [NAN, NAN]], [[NAN, 2], [3, NAN], [5, 5]]])
    output = torch.tensor([[[3.0, 4], [1, 1], [9, 9]], [[9, 9], [9, 9], [5, 6]]], requires_grad=True)
    loss = landmark_loss(output, target)
    assert loss.item() == pytest.approx((25 + 0 + 1) / 3)
    loss.backward()
    known = ~target.isnan().any(-1)
    assert not output.grad[~known].any()
    assert output.grad.isfinite().all()


def test_no_landmark_is_known():
    output = torch.ones(2, 3, 2, requires_grad=True)
    loss = landmark_loss(output, torch.full((2, 3, 2), NAN))
    assert loss.item() == 0
    loss.backward()
    assert landmark_loss(torch.zeros(0, 3, 2), torch.zeros(0, 3, 2)).item() == 0


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        (
            torch.zeros(2, 3, 2),
            torch.zeros(2, 4, 2),
            "output must have the target's shape (2, 4, 2), got torch.float32 tensor of shape (2, 3, 2)",
        ),
        (torch.zeros(2, 3, 3), torch.zeros(2, 3, 3), "output must have shape (B, P, two=2), got"),
        (torch.zeros(2, 3, 2), torch.zeros(2, 3, 3), "target must have shape (B, P, two=2), got"),
    ],
)
def test_landmarks_are_refused(refuses, output, target, message):
    refuses(landmark_loss, (output, target), ValueError, message)
