"""Mirrors dlref/detection/yolo/grid.py."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from dlref.detection import (
    Detections,
    batched_nms,
    box_convert,
    grid_detections,
    grid_losses,
    grid_network,
    grid_targets,
    grid_values,
    shape_iou,
)

HEIGHT, WIDTH = 60, 90
ANCHORS = torch.tensor([[6.0, 18], [20, 20], [40, 12]])


def pictures(seed: int, count: int = 3, most: int = 6, classes: int = 4):
    """Boxes with their centres inside, which may reach out of the picture, and labels."""
    generator = torch.Generator().manual_seed(seed)
    boxes, labels = [], []
    for _ in range(count):
        n = int(torch.randint(most + 1, (1,), generator=generator))
        centre = torch.rand(n, 2, generator=generator) * torch.tensor([WIDTH, HEIGHT])
        sides = 2 + 40 * torch.rand(n, 2, generator=generator)
        boxes.append(box_convert(torch.cat((centre, sides), 1), "cxcywh", "xyxy"))
        labels.append(torch.randint(classes, (n,), generator=generator))
    return boxes, labels


def rows(detections: Detections) -> list[tuple[int, list[float]]]:
    """In an order of their own, to compare sets."""
    found = zip(detections.labels.tolist(), detections.boxes.round(decimals=2).tolist(), strict=True)
    return sorted(found)


# ------------------------------------------------------------------------------------------------ targets


@pytest.mark.verifies("eq-grid-target")
def test_fact_of_a_box_in_nine_cells():
    boxes = box_convert(torch.tensor([[170.0, 80, 150, 60]]), "cxcywh", "xyxy")
    target = grid_targets([boxes], [torch.tensor([2])], (300, 300), (3, 3), 3)
    assert target.shape == (1, 1, 8, 3, 3)
    assert target[0, 0, :, 0, 1].tolist() == pytest.approx([1, 0.7, 0.8, 1.5, 0.6, 0, 0, 1])
    assert target[0, 0, 0].sum() == 1, "row 0, column 1, and no other"
    assert (boxes[0, 2:] - boxes[0, :2]).tolist() == [150, 60]
    assert (target[0, 0, 3:5, 0, 1] / 3).tolist() == pytest.approx([0.5, 0.2]), "in parts of the picture"


@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(1, 7), st.booleans())
def test_what_is_written_is_read_again(seed, across, down, anchored):
    boxes, labels = pictures(seed)
    anchors = ANCHORS if anchored else None
    target = grid_targets(boxes, labels, (HEIGHT, WIDTH), (down, across), 4, anchors=anchors)
    found = grid_detections(target, (HEIGHT, WIDTH))
    places = 0
    for k, detections in enumerate(found):
        wanted, taken = [], set()
        for box, label in zip(boxes[k], labels[k].tolist(), strict=True):
            x, y, w, h = box_convert(box, "xyxy", "cxcywh").tolist()
            anchor = int(shape_iou(torch.tensor([[w, h]]), ANCHORS).argmax()) if anchored else 0
            place = (int(y * down / HEIGHT), int(x * across / WIDTH), anchor)
            if place not in taken:
                taken.add(place)
                wanted.append((label, box.round(decimals=2).tolist()))
        places += len(taken)
        assert len(detections.boxes) == len(wanted)
        for (a, one), (b, other) in zip(rows(detections), sorted(wanted), strict=True):
            assert a == b
            assert one == pytest.approx(other, abs=0.02)
        assert (detections.scores == 1).all()
    assert target[:, :, 0].sum().item() == places


def test_centres_on_edges_have_a_cell():
    for x, column in ((0.0, 0), (100.0, 1), (299.99, 2), (300.0, 2)):
        box = torch.tensor([[x - 5, 0, x + 5, 10]])
        target = grid_targets([box], [torch.tensor([0])], (300, 300), (3, 3), 1)
        assert target[0, 0, 0, 0].tolist() == [float(c == column) for c in range(3)]
        back = grid_detections(target, (300, 300))[0].boxes
        torch.testing.assert_close(back, box, rtol=0, atol=1e-4)


def test_of_two_in_one_place_the_first_stays():
    boxes = torch.tensor([[0.0, 0, 8, 8], [2, 2, 9, 9], [40, 40, 44, 44]])
    labels = torch.tensor([2, 1, 0])
    target = grid_targets([boxes], [labels], (64, 64), (2, 2), 3)
    assert target[:, :, 0].sum() == 2
    assert target[0, 0, 5:, 0, 0].tolist() == [0, 0, 1]
    swapped = grid_targets([boxes.flip(0)], [labels.flip(0)], (64, 64), (2, 2), 3)
    assert swapped[0, 0, 5:, 0, 0].tolist() == [0, 1, 0]


def test_anchors_tell_shapes_apart_but_not_twins():
    tall, wide = [27.0, 14, 33, 46], [14.0, 27, 46, 33]
    labels = torch.tensor([0, 1])
    for boxes, kept in (([tall, wide], 2), ([tall, tall], 1)):
        target = grid_targets([torch.tensor(boxes)], [labels], (60, 60), (1, 1), 2, anchors=ANCHORS)
        assert target[:, :, 0].sum() == kept
    target = grid_targets([torch.tensor([tall, wide])], [labels], (60, 60), (1, 1), 2, anchors=ANCHORS)
    assert target[0, :, 0, 0, 0].tolist() == [1, 0, 1]


def test_pictures_do_not_touch_each_other():
    boxes, labels = pictures(3, count=5)
    together = grid_targets(boxes, labels, (HEIGHT, WIDTH), (4, 5), 4, anchors=ANCHORS)
    for k in range(5):
        alone = grid_targets([boxes[k]], [labels[k]], (HEIGHT, WIDTH), (4, 5), 4, anchors=ANCHORS)
        assert torch.equal(together[k], alone[0])


def test_nothing_is_written_for_nothing():
    none = torch.zeros(0, 4)
    target = grid_targets([none, none], [torch.zeros(0).long()] * 2, (8, 8), (2, 2), 3, anchors=ANCHORS)
    assert target.shape == (2, 3, 8, 2, 2)
    assert not target.any()
    assert grid_targets([], [], (8, 8), (2, 2), 3).shape == (0, 1, 8, 2, 2)
    assert grid_detections(target, (8, 8))[1].boxes.shape == (0, 4)


BOX, LABEL = torch.tensor([[1.0, 1, 3, 3]]), torch.tensor([1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([BOX], [], (8, 8), (2, 2), 3), ValueError, "labels must be as many as boxes, 1, got 0"),
        (([BOX], [LABEL[:0]], (8, 8), (2, 2), 3), ValueError, "labels must be one a box, 1 in a picture, got 0"),
        (([BOX[0]], [LABEL], (8, 8), (2, 2), 3), ValueError, "boxes must have shape (N, four=4), got"),
        (([BOX], [LABEL.float()], (8, 8), (2, 2), 3), TypeError, "labels must hold whole numbers, got torch.float32"),
        (([BOX], [LABEL.bool()], (8, 8), (2, 2), 3), TypeError, "labels must hold whole numbers, got torch.bool"),
        (([BOX.long()], [LABEL], (8, 8), (2, 2), 3), TypeError, "boxes must hold floating-point numbers, got"),
        (([BOX.flip(1)], [LABEL], (8, 8), (2, 2), 3), ValueError, "boxes must have an area, and their centre in the"),
        (([BOX + 7], [LABEL], (8, 8), (2, 2), 3), ValueError, "boxes must have an area, and their centre in the"),
        (([BOX - 3], [LABEL], (8, 8), (2, 2), 3), ValueError, "boxes must have an area, and their centre in the"),
        (([BOX * math.nan], [LABEL], (8, 8), (2, 2), 3), ValueError, "boxes must have an area, and their centre"),
        (([BOX], [LABEL + 2], (8, 8), (2, 2), 3), ValueError, "labels must be in [0, 2], got 3 to 3"),
        (([BOX], [LABEL - 2], (8, 8), (2, 2), 3), ValueError, "labels must be in [0, 2], got -1 to -1"),
        (([BOX], [LABEL], (8, 8), (2, 2), 0), ValueError, "classes must be an integer >= 1, got 0"),
        (([BOX], [LABEL], (8, 8), (2, 0), 3), ValueError, "grid must be an integer >= 1, got 0"),
        (([BOX], [LABEL], (0, 8), (2, 2), 3), ValueError, "size must be an integer >= 1, got 0"),
    ],
)
def test_what_has_no_place_is_refused(refuses, arguments, error, message):
    refuses(grid_targets, arguments, error, message)


# ------------------------------------------------------------------------------------------------ outputs


def logits(seed: int, places: int = 2, classes: int = 3, grid=(4, 5)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, places, 5 + classes, *grid, dtype=torch.float64, generator=generator)


@pytest.mark.verifies("eq-grid-output")
def test_values_by_hand():
    output = logits(0)
    anchors = ANCHORS[:2].double()
    found = grid_values(output, (HEIGHT, WIDTH), anchors=anchors)
    assert found.shape == output.shape
    for place in ((0, 0, 1, 2), (1, 1, 3, 4)):
        b, a, i, j = place
        p, x, y, w, h, *named = output[b, a, :, i, j].tolist()
        wanted = [1 / (1 + math.exp(-t)) for t in (p, x, y)]
        wanted += [anchors[a, 0].item() / 18 * math.exp(w), anchors[a, 1].item() / 15 * math.exp(h)]
        total = sum(math.exp(t) for t in named)
        wanted += [math.exp(t) / total for t in named]
        assert found[b, a, :, i, j].tolist() == pytest.approx(wanted)
    plain = grid_values(output, (HEIGHT, WIDTH))
    assert torch.equal(plain[:, :, 3:5], output[:, :, 3:5].exp())


@pytest.mark.verifies("eq-grid-loss")
@pytest.mark.parametrize("anchored", [True, False])
def test_losses_are_torchs_at_the_places_of_objects(anchored, close):
    boxes, labels = pictures(1, count=2, most=5, classes=3)
    places = 2 if anchored else 1
    anchors = ANCHORS[:2].double() if anchored else None
    target = grid_targets(boxes, labels, (HEIGHT, WIDTH), (4, 5), 3, anchors=anchors).double()
    output = logits(2, places).requires_grad_()
    parts = grid_losses(output, target, (HEIGHT, WIDTH), anchors=anchors)
    wanted = torch.zeros(3, 2, dtype=torch.float64)
    for b in range(2):
        for a in range(places):
            for i in range(4):
                for j in range(5):
                    made, known = output[b, a, :, i, j], target[b, a, :, i, j]
                    wanted[0, b] += F.binary_cross_entropy_with_logits(made[0], known[0])
                    if known[0]:
                        cell = torch.tensor([18.0, 15.0]).double()
                        base = anchors[a] / cell if anchored else torch.ones(2).double()
                        wanted[1, b] += (made[1:3].sigmoid() - known[1:3]).square().sum()
                        wanted[1, b] += (made[3:5] - (known[3:5] / base).log()).square().sum()
                        wanted[2, b] += F.cross_entropy(made[None, 5:], known[None, 5:].argmax(1))
    for part, value in zip(parts, wanted, strict=True):
        close(part, value)
    (slope,) = torch.autograd.grad(sum(part.sum() for part in parts), output)
    empty = (target[:, :, :1] == 0).expand_as(slope[:, :, 1:])
    assert not slope[:, :, 1:][empty].any(), "where there is nothing, only the presence learns"
    assert slope[:, :, 0].all()
    assert slope.isfinite().all()


def test_no_loss_is_left_for_the_right_answer():
    boxes, labels = pictures(4, count=2, most=4)
    target = grid_targets(boxes, labels, (HEIGHT, WIDTH), (6, 6), 4, anchors=ANCHORS)
    right = torch.zeros_like(target)
    right[:, :, 0] = 40 * target[:, :, 0] - 20
    right[:, :, 1:3] = target[:, :, 1:3].clamp(1e-6, 1 - 1e-6).logit()
    cells = ANCHORS / torch.tensor([15.0, 10.0])
    there = target[:, :, :1] > 0
    ratio = torch.where(there, target[:, :, 3:5] / cells[None, :, :, None, None], 1)
    right[:, :, 3:5] = ratio.log()
    right[:, :, 5:] = 40 * target[:, :, 5:]
    for part in grid_losses(right, target, (HEIGHT, WIDTH), anchors=ANCHORS):
        assert part.abs().max() < 1e-5
    values = grid_values(right, (HEIGHT, WIDTH), anchors=ANCHORS)
    found = grid_detections(values, (HEIGHT, WIDTH), score_threshold=0.5)
    known = grid_detections(target, (HEIGHT, WIDTH))
    for one, other in zip(found, known, strict=True):
        assert [label for label, _ in rows(one)] == [label for label, _ in rows(other)]


def test_what_does_not_count_may_be_nan():
    boxes, labels = pictures(1, count=2, most=5, classes=3)
    target = grid_targets(boxes, labels, (HEIGHT, WIDTH), (4, 5), 3)
    empty = target[:, :, 0] == 0
    output = logits(2, 1).float()
    usual = grid_losses(output, target, (HEIGHT, WIDTH))
    for k in range(1, 5):
        output[:, :, k][empty] = torch.nan
        target[:, :, k][empty] = torch.nan
    output.requires_grad_()
    parts = grid_losses(output, target, (HEIGHT, WIDTH))
    for part, value in zip(parts, usual, strict=True):
        torch.testing.assert_close(part, value)
    sum(part.sum() for part in parts).backward()
    assert output.grad.isfinite().all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: grid_values(torch.zeros(1, 8, 2, 2), (8, 8)),
            ValueError,
            "output must have shape (B, A, D, R, S), got",
        ),
        (
            lambda: grid_values(torch.zeros(1, 1, 5, 2, 2), (8, 8)),
            ValueError,
            "output must have 1 + 4 + K numbers a place",
        ),
        (
            lambda: grid_values(torch.zeros(1, 1, 6, 2, 2), (8, 8), anchors=ANCHORS),
            ValueError,
            "anchors must have shape (A=1, two=2), got",
        ),
        (lambda: grid_values(torch.zeros(1, 1, 6, 2, 2), (8, 0)), ValueError, "size must be an integer >= 1, got 0"),
        (
            lambda: grid_losses(torch.zeros(1, 1, 6, 2, 2), torch.zeros(1, 1, 6, 2, 3), (8, 8)),
            ValueError,
            "target must have the output's shape (1, 1, 6, 2, 2), got torch.float32 tensor of shape (1, 1, 6, 2, 3)",
        ),
        (
            lambda: grid_losses(torch.zeros(1, 1, 6, 2, 2), torch.zeros(1, 1, 5, 2, 2), (8, 8)),
            ValueError,
            "target must have 1 + 4 + K numbers a place",
        ),
        (lambda: grid_detections(torch.zeros(1, 1, 5, 2, 2), (8, 8)), ValueError, "values must have 1 + 4 + K numbers"),
        (
            lambda: grid_detections(torch.zeros(1, 1, 6, 2, 2), (8, 8), score_threshold=2.0),
            ValueError,
            "score_threshold must be a number in [0, 1], got 2.0",
        ),
        (
            lambda: grid_detections(torch.zeros(1, 1, 6, 2, 2), (8, 8), iou_threshold=-1.0),
            ValueError,
            "iou_threshold must be a number in [0, 1], got -1.0",
        ),
    ],
)
def test_outputs_that_do_not_fit_are_refused(refuses, call, error, message):
    refuses(call, (), error, message)


# ------------------------------------------------------------------------------------------------ detections


def test_detections_are_sorted_cut_and_suppressed():
    values = grid_values(logits(5, 2), (HEIGHT, WIDTH), anchors=ANCHORS[:2].double())
    every = grid_detections(values, (HEIGHT, WIDTH))
    kept = grid_detections(values, (HEIGHT, WIDTH), score_threshold=0.1, iou_threshold=0.1)
    for all_of_it, some in zip(every, kept, strict=True):
        assert len(all_of_it.boxes) == 2 * 4 * 5
        assert (all_of_it.scores.diff() <= 0).all()
        above = all_of_it.scores > 0.1
        boxes, labels, scores = (field[above] for field in all_of_it)
        chosen = batched_nms(boxes, scores, labels, 0.1)
        assert 0 < len(chosen) < above.sum()
        for field, wanted in zip(some, (boxes, labels, scores), strict=True):
            assert torch.equal(field, wanted[chosen])
    score = values[0, :, 0] * values[0, :, 5:].amax(1)
    assert every[0].scores[0] == score.max()


def test_a_score_at_the_threshold_is_left_out():
    target = grid_targets([BOX], [LABEL], (8, 8), (2, 2), 3)
    assert len(grid_detections(target, (8, 8), score_threshold=1.0)[0].boxes) == 0
    assert len(grid_detections(0.5 * target, (8, 8), score_threshold=0.24)[0].boxes) == 1
    assert len(grid_detections(0.5 * target, (8, 8), score_threshold=0.25)[0].boxes) == 0


# ------------------------------------------------------------------------------------------------ network


@pytest.mark.parametrize(("classes", "anchors", "width", "channels"), [(3, 1, 16, 3), (1, 2, 4, 1), (10, 5, 8, 3)])
def test_network_answers_at_every_eighth_pixel(classes, anchors, width, channels):
    net = grid_network(classes, anchors, width=width, in_channels=channels)
    assert net(torch.rand(2, channels, 32, 48)).shape == (2, anchors, 5 + classes, 4, 6)
    assert net[0].out_channels == width
    convs = [layer for layer in net if isinstance(layer, torch.nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [
        width,
        2 * width,
        4 * width,
        4 * width,
        4 * width,
        anchors * (5 + classes),
    ]
    silent = net.eval()(torch.zeros(1, channels, 32, 32))
    bias = convs[-1].bias.reshape(anchors, 5 + classes)
    assert bias[:, 0].sigmoid().tolist() == pytest.approx([0.01] * anchors, rel=0.01)
    assert not bias[:, 1:].any()
    assert silent.shape == (1, anchors, 5 + classes, 4, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 0}, "classes must be an integer >= 1, got 0"),
        ({"classes": 1, "anchors": 0}, "anchors must be an integer >= 1, got 0"),
        ({"classes": 1, "width": 0}, "width must be an integer >= 1, got 0"),
        ({"classes": 1, "in_channels": 0}, "in_channels must be an integer >= 1, got 0"),
    ],
)
def test_networks_that_are_none_are_refused(refuses, settings, message):
    refuses(lambda: grid_network(**settings), (), ValueError, message)


@pytest.mark.verifies("eq-shared-cell")
@pytest.mark.parametrize(("centres", "cells"), [(1, 3), (2, 4), (3, 4), (4, 5), (5, 4)])
def test_chance_that_two_share_a_cell(centres, cells):
    """All places of all centres, one after the other."""
    places = list(itertools.product(range(cells), repeat=centres))
    share = np.mean([len(set(place)) < centres for place in places])
    assert share == pytest.approx(1 - np.prod([1 - k / cells for k in range(1, centres)]))


def test_wild_sides_stay_finite():
    wild = torch.full((1, 1, 6, 2, 2), 200.0)
    assert grid_values(wild, (8, 8))[:, :, 3:5].unique().tolist() == pytest.approx([62.5])
    (found,) = grid_detections(grid_values(wild, (8, 8)), (8, 8))
    assert found.boxes.isfinite().all()
