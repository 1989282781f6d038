"""Mirrors dlref/detection/region_proposals/proposals.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlref.detection import (
    ProposalHead,
    anchor_boxes,
    box_iou,
    decode_boxes,
    encode_boxes,
    match_anchors,
    nms,
    region_proposals,
    sample_anchors,
)


def some_boxes(seed: int, count: int = 9):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-5, 20, (count, 2))
    return torch.tensor(np.concatenate((low, low + rng.uniform(0.5, 20, (count, 2))), 1))


def test_anchors_by_hand():
    shapes = torch.tensor([[4.0, 2.0], [2.0, 6.0]])
    made = anchor_boxes((8, 12), (2, 3), shapes).reshape(2, 2, 3, 4)
    assert made[0, 0].tolist() == [[0, 1, 4, 3], [4, 1, 8, 3], [8, 1, 12, 3]]
    assert made[1, 1, 2].tolist() == [9, 3, 11, 9]
    assert anchor_boxes((8, 12), (2, 3), shapes.double()).dtype == torch.float64


@pytest.mark.verifies("eq-box-deltas")
@given(st.integers(0, 2**31))
def test_encoding_is_torchvisions_and_comes_back(torchvision, seed):
    from torchvision.models.detection._utils import BoxCoder

    boxes, anchors = some_boxes(seed), some_boxes(seed + 1)
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
    made = encode_boxes(boxes, anchors)
    torch.testing.assert_close(made, coder.encode_single(boxes, anchors))
    torch.testing.assert_close(decode_boxes(made, anchors), boxes)
    wild = torch.tensor(np.random.default_rng(seed).normal(size=boxes.shape) * 5)
    torch.testing.assert_close(decode_boxes(wild, anchors), coder.decode_single(wild, anchors))


def test_sides_grow_so_far():
    anchor = torch.tensor([[0.0, 0, 2, 2]])
    far = decode_boxes(torch.tensor([[0.0, 0, 100, math.log(62.5)]]), anchor)
    assert (far[0, 2:] - far[0, :2]).tolist() == pytest.approx([125, 125])


@given(st.integers(0, 2**31), st.integers(1, 4), st.booleans())
def test_matches_are_torchvisions(torchvision, seed, objects, every_object):
    from torchvision.models.detection._utils import Matcher

    iou = torch.tensor(np.random.default_rng(seed).integers(1, 11, (objects, 12)) / 10)
    expected = Matcher(0.7, 0.3, every_object)(iou)
    found = match_anchors(iou, 0.7, 0.3, every_object=every_object)
    assert found.tolist() == expected.tolist()
    both = match_anchors(torch.stack((iou, iou.flip(1))), 0.7, 0.3, every_object=every_object)
    assert both[0].tolist() == both[1].flip(0).tolist() == expected.tolist()


def test_who_overlaps_nothing_gets_nothing():
    iou = torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.1, 0.0]])
    assert match_anchors(iou, 0.7, 0.3).tolist() == [1, -1, -1]
    assert match_anchors(iou[:0], 0.7, 0.3).tolist() == [-1, -1, -1]
    assert match_anchors(torch.zeros(2, 0, 3), 0.7, 0.3).tolist() == [[-1] * 3] * 2
    assert match_anchors(torch.zeros(2, 0), 0.7, 0.3).tolist() == []
    # the best anchor of the second object overlaps the first one more
    assert match_anchors(torch.tensor([[0.9, 0.0], [0.8, 0.0]]), 0.7, 0.3).tolist() == [0, -1]
    at = torch.tensor([[0.7, 0.3, 0.29, 0.69]], dtype=torch.float64)
    assert match_anchors(at, 0.7, 0.3).tolist() == [0, -2, -1, -2]


@given(st.integers(0, 2**31), st.integers(1, 30))
def test_samples_are_balanced(seed, count):
    rng = np.random.default_rng(seed)
    matches = torch.tensor(rng.choice([-2, -1, 0, 3], size=(3, 20), p=[0.1, 0.6, 0.2, 0.1]))
    drawn = sample_anchors(matches, count, generator=torch.Generator().manual_seed(seed))
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    for row, of in zip(drawn.bool(), matches, strict=True):
        objects, nothing = int((of >= 0).sum()), int((of == -1).sum())
        assert not row[of == -2].any()
        made = int(row[of >= 0].sum())
        assert made == min(objects, count // 2)
        assert int(row[of == -1].sum()) == min(nothing, count - made)


def test_a_share_that_is_a_whole_number_stays_one():
    matches = torch.zeros(200, dtype=torch.int64)
    assert sample_anchors(matches, 100, positive=0.29).sum() == 29


def test_samples_are_random_and_decided_by_the_generator():
    matches = torch.full((200,), -1)
    drawn = [sample_anchors(matches, 50, generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    every = sum(sample_anchors(matches, 50, generator=torch.Generator().manual_seed(s)) for s in range(400))
    assert 60 < every.min() < 100 < every.max() < 140  # 400 draws of a quarter: 100, deviation 8.7
    no_objects = sample_anchors(torch.tensor([0, -1]), 2, positive=0.0)
    assert no_objects.tolist() == [0, 1]


def test_the_head_starts_with_its_shape():
    head = ProposalHead(6, 2)
    made = head(torch.randn(3, 6, 4, 5))
    assert made.shape == (3, 2, 5, 4, 5)
    flat = head.answers(head.conv(torch.ones(1, 6, 4, 5)).relu())
    torch.testing.assert_close(head(torch.ones(1, 6, 4, 5))[0, 1, 3], flat[0, 8])


@given(st.integers(0, 2**31), st.integers(1, 12))
def test_proposals_step_by_step(seed, count):
    anchors = some_boxes(seed, 15)
    answers = torch.tensor(np.random.default_rng(seed).normal(size=(2, 15, 5)))
    made = region_proposals(answers, anchors, (18, 24), count=count, iou_threshold=0.4)
    for of_picture, found in zip(answers, made, strict=True):
        boxes = decode_boxes(of_picture[:, 1:], anchors)
        boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clamp(0, 24), boxes[:, 1::2].clamp(0, 18)
        rows = [i for i, b in enumerate(boxes) if b[2] - b[0] >= 1 and b[3] - b[1] >= 1]
        scores = 1 / (1 + (-of_picture[:, 0]).exp())
        kept = [rows[i] for i in nms(boxes[rows], scores[rows], 0.4).tolist()][:count]
        torch.testing.assert_close(found.boxes, boxes[kept])
        torch.testing.assert_close(found.scores, scores[kept])
        assert found.labels.tolist() == [0] * len(kept)
        overlap = box_iou(found.boxes, found.boxes).fill_diagonal_(0)
        assert not (overlap > 0.4).any()


def test_gradients_stop():
    answers = torch.zeros(1, 2, 5, requires_grad=True)
    (found,) = region_proposals(answers, torch.tensor([[0.0, 0, 4, 4], [4, 4, 8, 8]]), (8, 8))
    assert not found.boxes.requires_grad
    assert not found.scores.requires_grad


def test_the_surest_comes_first_even_where_probabilities_are_one():
    anchors = torch.tensor([[0.0, 0, 4, 4], [4, 4, 8, 8]])
    answers = torch.zeros(1, 2, 5)
    answers[0, :, 0] = torch.tensor([40.0, 50.0])
    (found,) = region_proposals(answers, anchors, (8, 8))
    assert found.scores.tolist() == [1, 1]
    assert found.boxes[0].tolist() == [4, 4, 8, 8]


ONE = torch.tensor([[0.0, 0, 4, 4]])
REFUSED = [
    (encode_boxes, (ONE, ONE[:0]), ValueError, "anchors must have shape (N=1, four=4)"),
    (encode_boxes, (ONE[:, :3], ONE), ValueError, "boxes must have shape (N, four=4)"),
    (decode_boxes, (ONE, ONE[0]), ValueError, "anchors must have shape (N=1, four=4)"),
    (anchor_boxes, ((0, 8), (1, 1), ONE[:, 2:]), ValueError, "size must be an integer >= 1, got 0"),
    (anchor_boxes, ((8, 8), (1, 0), ONE[:, 2:]), ValueError, "grid must be an integer >= 1, got 0"),
    (anchor_boxes, ((8, 8), (1, 1), ONE), ValueError, "anchors must have shape (A, two=2)"),
    (match_anchors, (torch.zeros(3), 0.7, 0.3), ValueError, "iou must have shape (..., M, N)"),
    (match_anchors, (torch.zeros(1, 3), 0.3, 0.7), ValueError, "low must be at most high = 0.3, got 0.7"),
    (match_anchors, (torch.zeros(1, 3), 1.1, 0.7), ValueError, "high must be a number in [0, 1], got 1.1"),
    (sample_anchors, (torch.zeros(3).long(), 0), ValueError, "count must be an integer >= 1, got 0"),
    (ProposalHead, (0, 1), ValueError, "in_channels must be an integer >= 1, got 0"),
    (ProposalHead, (1, 0), ValueError, "anchors must be an integer >= 1, got 0"),
    (match_anchors, (torch.full((1, 3), float("nan")), 0.7, 0.3), ValueError, "iou must not be NaN"),
    (region_proposals, (torch.full((1, 1, 5), float("nan")), ONE, (8, 8)), ValueError, "answers must not be NaN"),
    (region_proposals, (torch.zeros(1, 2, 5), ONE, (8, 8)), ValueError, "answers must have shape (B, N=1, five=5)"),
]


@pytest.mark.parametrize(("function", "arguments", "error", "message"), REFUSED)
def test_bad_input_is_refused(refuses, function, arguments, error, message):
    refuses(function, arguments, error, message)


def test_more_bad_numbers_are_refused():
    with pytest.raises(ValueError, match=r"^count must be an integer >= 1, got 0$"):
        region_proposals(torch.zeros(1, 1, 5), ONE, (8, 8), count=0)
    with pytest.raises(ValueError, match=r"^positive must be a number in \[0, 1\], got 2.0$"):
        sample_anchors(torch.zeros(3).long(), 1, positive=2.0)
