"""Mirrors dlref/detection/yolo/suppression.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlref.detection import batched_nms, box_iou, nms
from dlref.detection.yolo import suppression


def random_set(seed: int, count: int, classes: int = 3, levels: int = 4):
    """Boxes on whole pixels and scores of few levels, so that ties and equal boxes occur."""
    rng = np.random.default_rng(seed)
    low = rng.integers(-6, 6, (count, 2))
    boxes = np.concatenate((low, low + rng.integers(0, 7, (count, 2))), 1)
    return (
        torch.tensor(boxes, dtype=torch.float64),
        torch.tensor(rng.integers(0, levels, count) / levels, dtype=torch.float64),
        torch.tensor(rng.integers(0, classes, count)),
    )


def by_definition(boxes, scores, idxs, threshold):
    """One after the other, each against all that were kept."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i].item()):
        rivals = [j for j in kept if idxs[j] == idxs[i]]
        if all(box_iou(boxes[[i]], boxes[[j]]).item() <= threshold for j in rivals):
            kept.append(i)
    return kept


def test_fact_of_three_boxes_in_a_row():
    boxes = torch.tensor([[0.0, 0, 10, 10], [2.5, 0, 12.5, 10], [5, 0, 15, 10]])
    overlaps = box_iou(boxes, boxes)
    assert overlaps[0].tolist() == pytest.approx([1, 0.6, 1 / 3])
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms(boxes, scores, 0.5).tolist() == [0, 2]
    assert nms(boxes, scores.flip(0), 0.5).tolist() == [2, 0]
    assert nms(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5).tolist() == [1]


@pytest.mark.verifies("eq-nms")
@given(st.integers(0, 2**31), st.integers(0, 25), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_it_is_the_definition(seed, count, threshold):
    boxes, scores, idxs = random_set(seed, count)
    assert batched_nms(boxes, scores, idxs, threshold).tolist() == by_definition(boxes, scores, idxs, threshold)
    one = torch.zeros_like(idxs)
    assert nms(boxes, scores, threshold).tolist() == by_definition(boxes, scores, one, threshold)


@given(st.integers(0, 2**31), st.integers(0, 40), st.integers(1, 7))
def test_blocks_make_no_difference(seed, count, block):
    boxes, scores, idxs = random_set(seed, count)
    whole = batched_nms(boxes, scores, idxs, 0.3).tolist()
    usual = suppression.BLOCK
    try:
        suppression.BLOCK = block
        assert batched_nms(boxes, scores, idxs, 0.3).tolist() == whole
    finally:
        suppression.BLOCK = usual


def test_overlap_at_the_threshold_is_not_too_much():
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1]])
    assert box_iou(boxes, boxes)[0, 1].item() == 0.5
    scores = torch.tensor([1.0, 0.5])
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.499).tolist() == [0]


def test_classes_with_negative_coordinates_leave_each_other_alone():
    """Moved by the largest coordinate plus one, as is usual, these two would coincide."""
    boxes = torch.tensor([[50.0, 50, 60, 60], [-11, -11, -1, -1]])
    assert torch.equal(boxes[1] + (boxes.max() + 1), boxes[0])
    assert batched_nms(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 1]), 0.5).tolist() == [0, 1]


def test_equal_boxes_and_scores_keep_the_first():
    boxes = torch.ones(3, 4).cumsum(1)
    assert nms(boxes, torch.zeros(3), 0.9).tolist() == [0]


def test_infinite_scores_are_the_ends():
    boxes = torch.tensor([[0.0, 0, 1, 1], [5, 5, 6, 6]])
    assert nms(boxes, torch.tensor([-torch.inf, torch.inf]), 0.5).tolist() == [1, 0]


def test_nothing_to_suppress():
    kept = nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64


def test_half_precision():
    boxes, scores, idxs = random_set(0, 30)
    whole = batched_nms(boxes, scores, idxs, 0.3).tolist()
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert batched_nms(boxes.to(dtype), scores.to(dtype), idxs.int(), 0.3).tolist() == whole


ONE = torch.tensor([[0.0, 0, 1, 1]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((ONE[0], ONE[0, :1], 0.5), ValueError, "boxes must have shape (N, four=4), got"),
        ((ONE.long(), ONE[0, :1], 0.5), TypeError, "boxes must hold floating-point numbers, got"),
        ((ONE, ONE[0, :2], 0.5), ValueError, "scores must have shape (N=1), got"),
        ((ONE, torch.zeros(1).long(), 0.5), TypeError, "scores must hold floating-point numbers, got"),
        ((ONE, torch.tensor([torch.nan]), 0.5), ValueError, "scores must not be NaN"),
        ((ONE, ONE[0, :1], 1.5), ValueError, "iou_threshold must be a number in [0, 1], got 1.5"),
        ((ONE, ONE[0, :1], "0.5"), TypeError, "iou_threshold must be a number in [0, 1], got '0.5'"),
    ],
)
def test_bad_input_is_refused(refuses, arguments, error, message):
    refuses(nms, arguments, error, message)


@pytest.mark.parametrize("idxs", [torch.zeros(2).long(), torch.zeros(1)])
def test_classes_that_do_not_fit_are_refused(refuses, idxs):
    message = f"idxs must be 1 whole numbers, got {idxs.dtype} tensor of shape ({len(idxs)},)"
    refuses(batched_nms, (ONE, ONE[0, :1], idxs, 0.5), ValueError, message)
