"""Mirrors dlref/detection/localization/boxes.py."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import vmap

from dlref.detection import (
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    generalized_box_iou,
    generalized_box_iou_loss,
)

FORMATS = ("xyxy", "xywh", "cxcywh")
PAIRS = list(itertools.product(FORMATS, FORMATS))


def boxes(count: int, seed: int, side: int = 12, dtype: torch.dtype = torch.float64):
    """Boxes with corners on whole pixels: many touch, coincide, or have no area."""
    corners = np.random.default_rng(seed).integers(0, side, (count, 2, 2))
    low, high = corners.min(1), corners.max(1)
    return torch.tensor(np.concatenate((low, high), 1), dtype=dtype)


def by_pixels(one, other, side: int = 12):
    """From the definition: pixels of whole boxes counted."""
    masks = []
    for left, top, right, bottom in (one.int().tolist(), other.int().tolist()):
        mask = np.zeros((side, side), bool)
        mask[top:bottom, left:right] = True
        masks.append(mask)
    shared, together = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    low, high = torch.minimum(one[:2], other[:2]), torch.maximum(one[2:], other[2:])
    around = (high - low).prod().item()
    iou = shared / together if together else 0.0
    return iou, iou - ((around - together) / around if around else 0.0)


# ------------------------------------------------------------------------------------------------ formats


@pytest.mark.parametrize(("in_fmt", "out_fmt"), PAIRS)
@pytest.mark.parametrize("shape", [(4,), (0, 4), (7, 4), (2, 3, 4)])
def test_formats_are_torchvisions(torchvision, in_fmt, out_fmt, shape, close):
    given = torch.rand(shape, dtype=torch.float64)
    found = box_convert(given, in_fmt, out_fmt)
    close(found, torchvision.ops.boxes.box_convert(given.reshape(-1, 4), in_fmt, out_fmt).reshape(shape))
    close(box_convert(found, out_fmt, in_fmt), given)


@pytest.mark.verifies("eq-box-formats")
def test_formats_by_hand():
    box = torch.tensor([2.0, 1.0, 10.0, 4.0])
    assert box_convert(box, "xyxy", "xywh").tolist() == [2, 1, 8, 3]
    assert box_convert(box, "xyxy", "cxcywh").tolist() == [6, 2.5, 8, 3]
    assert box_convert(torch.tensor([6, 2.5, 8, 3]), "cxcywh", "xyxy").tolist() == box.tolist()


def test_a_new_tensor_comes_out():
    box = torch.zeros(1, 4)
    found = box_convert(box, "xyxy", "xyxy")
    found += 1
    assert not box.any()


def test_clipping():
    given = torch.tensor([[-3.0, 2, 50, 9], [4, -1, 6, 30], [30, 30, 40, 40]])
    assert clip_boxes_to_image(given, (10, 20)).tolist() == [[0, 2, 20, 9], [4, 0, 6, 10], [20, 10, 20, 10]]
    assert clip_boxes_to_image(torch.zeros(0, 4), (10, 20)).shape == (0, 4)


# ------------------------------------------------------------------------------------------------ overlap


@pytest.mark.verifies("eq-iou")
@given(st.integers(0, 2**31), st.integers(0, 6), st.integers(0, 6))
def test_iou_counts_pixels(seed, n, m):
    one, other = boxes(n, seed), boxes(m, seed + 1)
    found, wider = box_iou(one, other), generalized_box_iou(one, other)
    assert found.shape == wider.shape == (n, m)
    for i, j in itertools.product(range(n), range(m)):
        iou, giou = by_pixels(one[i], other[j])
        assert found[i, j].item() == pytest.approx(iou, abs=1e-12)
        assert wider[i, j].item() == pytest.approx(giou, abs=1e-12)


@pytest.mark.verifies("eq-giou")
@given(st.integers(0, 2**31))
def test_overlap_is_torchvisions_where_boxes_have_area(torchvision, seed):
    one, other = boxes(9, seed), boxes(8, seed + 1)
    one, other = (b[(b[:, 2:] > b[:, :2]).all(1)] for b in (one, other))
    ops = torchvision.ops
    torch.testing.assert_close(box_area(one), ops.box_area(one), rtol=0, atol=1e-12)
    torch.testing.assert_close(box_iou(one, other), ops.box_iou(one, other), rtol=0, atol=1e-12)
    wider = generalized_box_iou(one, other)
    torch.testing.assert_close(wider, ops.generalized_box_iou(one, other), rtol=0, atol=1e-12)
    assert (wider <= box_iou(one, other) + 1e-12).all()
    assert (wider > -1).all()


def test_facts_of_two_squares():
    one, other = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 1, 3, 3]])
    assert box_iou(one, other).item() == pytest.approx(1 / 7)
    for factor in (1e-3, 10.0, 1e4):
        assert box_iou(one * factor, other * factor).item() == pytest.approx(1 / 7)
    assert box_iou(one / 2, one / 2 + 2).item() == 0
    shared = 1.0
    assert 2 * shared / (box_area(one) + box_area(other)).item() == 0.25, "Dice counts what is shared twice"
    near, far = (generalized_box_iou(one, one + shift).item() for shift in (3.0, 30.0))
    assert 0 > near > far > -1


def test_a_box_agrees_with_itself():
    """With 1 added to the sides of the areas, but not of what is shared, it would not: 100 of 121 + 121 - 100."""
    box = torch.tensor([[0.0, 0, 10, 10]])
    assert box_iou(box, box).item() == 1
    side = (box[0, 2] - box[0, 0]).item()
    assert side**2 / (2 * (side + 1) ** 2 - side**2) == pytest.approx(0.704, abs=5e-4)


def test_boxes_without_area():
    point, reversed_box, square = torch.tensor([[1.0, 1, 1, 1], [5, 5, 2, 2], [0, 0, 4, 4]])[:, None]
    for empty in (point, reversed_box):
        assert box_area(empty).item() == 0
        assert box_iou(empty, square).item() == box_iou(empty, empty).item() == 0
        assert generalized_box_iou(empty, empty).isfinite().all()


def test_half_precision_holds_large_boxes():
    for dtype in (torch.float16, torch.bfloat16):
        one = torch.tensor([[0.0, 0, 512, 512]], dtype=dtype)
        assert box_area(one).tolist() == [512.0**2]
        assert box_iou(one, one).tolist() == [[1]]
        assert box_iou(one, one).dtype == torch.float32


def test_nan_comes_out():
    one = torch.tensor([[0.0, 0, 2, 2], [0, float("nan"), 2, 2]])
    assert box_iou(one, one[:1]).isnan().tolist() == [[False], [True]]
    assert generalized_box_iou(one, one[:1]).isnan().tolist() == [[False], [True]]


# ------------------------------------------------------------------------------------------------ loss


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_loss_is_torchvisions(torchvision, reduction, close):
    one, other = (box_convert(0.1 + torch.rand(20, 4).double(), "cxcywh", "xyxy").requires_grad_() for _ in range(2))
    ours = generalized_box_iou_loss(one, other, reduction)
    theirs = torchvision.ops.generalized_box_iou_loss(one, other, reduction, eps=0.0)
    close(ours, theirs)
    mine, wanted = (torch.autograd.grad(loss.sum(), (one, other)) for loss in (ours, theirs))
    for a, b in zip(mine, wanted, strict=True):
        close(a, b)


def test_loss_of_each_pair_is_on_the_diagonal(close):
    one, other = boxes(6, 0), boxes(6, 1)
    close(generalized_box_iou_loss(one, other), 1 - generalized_box_iou(one, other).diagonal())
    stacked = vmap(generalized_box_iou_loss)(one, other)
    close(stacked, generalized_box_iou_loss(one, other))
    shaped = generalized_box_iou_loss(one.reshape(2, 3, 4), other.reshape(2, 3, 4))
    close(shaped.flatten(), stacked)


def test_boxes_that_do_not_meet_are_pulled_together_by_giou_alone():
    wanted = torch.tensor([[0.0, 0, 2, 2]])
    far = torch.tensor([[5.0, 5, 7, 7]], requires_grad=True)
    (by_iou,) = torch.autograd.grad(box_iou(far, wanted).sum(), far)
    assert not by_iou.any()
    (slope,) = torch.autograd.grad(generalized_box_iou_loss(far, wanted, "sum"), far)
    moved = far.detach() - slope
    assert (slope[0, :2] > 0).all(), "left and top go down"
    assert generalized_box_iou_loss(moved, wanted).item() < generalized_box_iou_loss(far, wanted).item()


def test_gradients_stay_finite_where_nothing_has_area():
    point = torch.ones(1, 4, requires_grad=True)
    for loss in (box_iou(point, point), generalized_box_iou(point, point)):
        (slope,) = torch.autograd.grad(loss.sum(), point)
        assert slope.isfinite().all()


def test_loss_of_no_boxes():
    none = torch.zeros(0, 4, requires_grad=True)
    assert generalized_box_iou_loss(none, none).shape == (0,)
    for reduction in ("mean", "sum"):
        loss = generalized_box_iou_loss(none, none, reduction)
        assert loss.item() == 0
        loss.backward()


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: box_convert([0, 0, 1, 1], "xyxy", "xywh"),
            TypeError,
            "boxes must be a torch.Tensor of shape (... four)",
        ),
        (lambda: box_convert(torch.zeros(3), "xyxy", "xywh"), ValueError, "boxes must have shape (..., four=4), got"),
        (
            lambda: box_convert(torch.zeros(4).long(), "xyxy", "xywh"),
            TypeError,
            "boxes must hold floating-point numbers",
        ),
        (
            lambda: box_convert(torch.zeros(4), "xyx", "xywh"),
            ValueError,
            "in_fmt must be one of 'xyxy', 'xywh', 'cxcywh', got",
        ),
        (
            lambda: box_convert(torch.zeros(4), "xyxy", 3),
            ValueError,
            "out_fmt must be one of 'xyxy', 'xywh', 'cxcywh', got",
        ),
        (lambda: box_area(torch.zeros(2, 3)), ValueError, "boxes must have shape (..., four=4), got"),
        (
            lambda: clip_boxes_to_image(torch.zeros(2, 3), (2, 2)),
            ValueError,
            "boxes must have shape (..., four=4), got",
        ),
        (lambda: clip_boxes_to_image(torch.zeros(4), (0, 2)), ValueError, "size must be an integer >= 1, got 0"),
        (lambda: clip_boxes_to_image(torch.zeros(4), (2, 0)), ValueError, "size must be an integer >= 1, got 0"),
        (lambda: box_iou(torch.zeros(4), torch.zeros(1, 4)), ValueError, "boxes1 must have shape (N, four=4), got"),
        (lambda: box_iou(torch.zeros(1, 4), torch.zeros(4)), ValueError, "boxes2 must have shape (M, four=4), got"),
        (
            lambda: generalized_box_iou(torch.zeros(4), torch.zeros(1, 4)),
            ValueError,
            "boxes1 must have shape (N, four=4)",
        ),
        (
            lambda: generalized_box_iou(torch.zeros(1, 4), torch.zeros(4)),
            ValueError,
            "boxes2 must have shape (M, four=4)",
        ),
        (
            lambda: generalized_box_iou_loss(torch.zeros(3), torch.zeros(4)),
            ValueError,
            "boxes1 must have shape (..., four=4)",
        ),
        (
            lambda: generalized_box_iou_loss(torch.zeros(4), torch.zeros(3)),
            ValueError,
            "boxes2 must have shape (..., four=4)",
        ),
        (
            lambda: generalized_box_iou_loss(torch.zeros(2, 4), torch.zeros(1, 4)),
            ValueError,
            "boxes2 must have the shape of boxes1, (2, 4), got torch.float32 tensor of shape (1, 4)",
        ),
        (
            lambda: generalized_box_iou_loss(torch.zeros(2, 4), torch.zeros(2, 4), "max"),
            ValueError,
            "reduction must be one of 'none', 'mean', 'sum', got 'max'",
        ),
    ],
)
def test_what_are_no_boxes_is_refused(refuses, call, error, message):
    refuses(call, (), error, message)
