"""Mirrors dlref/detection/region_proposals/two_stages.py."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dlref.detection import (
    Detections,
    FirstLook,
    TwoStageDetector,
    TwoStageLosses,
    anchor_boxes,
    average_precisions,
    box_iou,
    decode_boxes,
    encode_boxes,
    match_anchors,
    nms,
    object_targets,
    roi_align,
    roi_pool,
)
from dlref.device import seed
from dlref.optimization import Adam
from dlref.train import fit

ANCHORS = torch.tensor([[10.0, 10.0], [14.0, 8.0]])


def squares(count: int, seed: int, side: int = 32):
    """Bright squares and dark wide bars on grey noise: one or two a picture, whole."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.1, (count, 1, side, side)).astype(np.float32)
    boxes, labels = [], []
    for k, image in enumerate(images[:, 0]):
        found = []
        for half in range(1 + k % 2):  # one in each half
            label = int(rng.integers(2))
            height, width = (10, 10) if label == 0 else (7, 14)
            top = int(rng.integers(0, side // 2 - height + 1)) + half * side // 2
            left = int(rng.integers(0, side - width + 1))
            image[top : top + height, left : left + width] += 1 if label == 0 else -1
            found.append((left, top, left + width, top + height, label))
        rows = torch.tensor(found, dtype=torch.float32)
        boxes.append(rows[:, :4])
        labels.append(rows[:, 4].long())
    return torch.tensor(images), boxes, labels


@pytest.fixture(scope="module", params=["align", "pool"])
def trained(request):
    seed(0)
    net = TwoStageDetector(2, ANCHORS, width=8, in_channels=1, hidden=32, proposals=8, pooling=request.param)
    images, boxes, labels = squares(64, 0)
    fit(
        net,
        lambda look, target: sum(net.losses(look, target)),
        (images, object_targets(boxes, labels)),
        optimizer=Adam(net.parameters(), lr=5e-3),
        steps=100,
        batch_size=16,
        seed=0,
    )
    return net.eval()


def test_it_learns(trained):
    images, boxes, labels = squares(40, 1)
    known = [Detections(b, k, torch.ones(len(b))) for b, k in zip(boxes, labels, strict=True)]
    table = average_precisions(trained.detect(images), known, 2, iou_thresholds=[0.5])
    assert table.min() > 0.7


def test_detections_step_by_step(trained):
    images, _, _ = squares(3, 2)
    found = trained.detect(images, score_threshold=0.05, iou_threshold=0.3)
    with torch.no_grad():
        look = trained(images)
        regions = trained.regions(look)
        cut = roi_pool if trained.pooling == "pool" else roi_align
        more = {} if trained.pooling == "pool" else {"sampling_ratio": 2, "aligned": True}
        for k, region in enumerate(regions):
            parts = cut(look.features[[k]], [region.boxes], 5, 1 / 8, **more)
            hidden = trained.hidden(parts)
            scores = trained.name(hidden).softmax(1)
            boxes = decode_boxes(trained.correct(hidden), region.boxes).clamp(0, 32)
            made = []
            for label in range(2):
                rows = (scores[:, label] > 0.05).nonzero().flatten()
                kept = rows[nms(boxes[rows], scores[rows, label], 0.3)]
                made += [(scores[i, label].item(), label, boxes[i].tolist()) for i in kept.tolist()]
            made.sort(key=lambda one: -one[0])
            assert found[k].labels.tolist() == [label for _, label, _ in made]
            assert found[k].scores.tolist() == pytest.approx([score for score, _, _ in made], abs=1e-5)
            torch.testing.assert_close(found[k].boxes, torch.tensor([box for _, _, box in made]), rtol=1e-4, atol=1e-3)


@pytest.mark.verifies("eq-two-stage-loss")
def test_losses_picture_by_picture():
    seed(1)
    net = TwoStageDetector(2, ANCHORS, width=8, in_channels=1, hidden=16, proposals=6, samples=1000)
    images, boxes, labels = squares(4, 3)
    boxes[2], labels[2] = boxes[2][:0], labels[2][:0]
    look = net(images)
    net.hidden.eval()  # the normalisation of the second stage must not depend on the order
    found = net.losses(look, object_targets(boxes, labels))
    anchors = anchor_boxes((32, 32), (4, 4), ANCHORS)
    presence = proposal = label_loss = box_loss = 0.0
    asked = seen = 0
    regions = net.regions(look)
    for k, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        owner = match_anchors(box_iou(box, anchors), 0.7, 0.3)
        counts = owner != -2  # so many samples take all; positives are below half of them
        asked += int(counts.sum())
        logits = look.answers[k, :, 0][counts]
        presence += F.binary_cross_entropy_with_logits(logits, (owner[counts] >= 0).float(), reduction="sum").item()
        holds = (owner >= 0).nonzero().flatten()
        wanted = encode_boxes(box[owner[holds]], anchors[holds])
        error = look.answers[k, holds, 1:] - wanted
        proposal += torch.where(error.abs() < 1 / 9, error**2 * 4.5, error.abs() - 1 / 18).sum().item()
        every = torch.cat((regions[k].boxes, box))
        own = match_anchors(box_iou(box, every), 0.5, 0.5, every_object=False)
        named, deltas = net.second_look(look.features[[k]], [every])
        right = torch.tensor([2 if o < 0 else label[o].item() for o in own.tolist()])
        label_loss += F.cross_entropy(named, right, reduction="sum").item()
        seen += len(every)
        for n, o in enumerate(own.tolist()):
            if o >= 0:
                error = deltas[n] - encode_boxes(box[[o]], every[[n]])[0]
                box_loss += torch.where(error.abs() < 1 / 9, error**2 * 4.5, error.abs() - 1 / 18).sum().item()
    expected = presence / asked, proposal / asked, label_loss / seen, box_loss / seen
    assert isinstance(look, FirstLook)
    assert isinstance(found, TwoStageLosses)
    assert [part.item() for part in found] == pytest.approx(expected, rel=1e-4)


def test_pictures_without_objects():
    net = TwoStageDetector(2, ANCHORS, in_channels=1, width=4, hidden=8)
    images = torch.randn(2, 1, 32, 32)
    none = object_targets([torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2)
    assert none.tolist() == [[[-1.0] * 5]] * 2
    found = net.losses(net(images), none)
    assert found.proposal.item() == found.box.item() == 0
    sum(found).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_no_region_at_all_is_no_error():
    net = TwoStageDetector(2, ANCHORS, in_channels=1, width=4, hidden=8).eval()
    net.regions = lambda _: [Detections(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))] * 2
    found = net.losses(
        net(torch.randn(2, 1, 32, 32)), object_targets([torch.zeros(0, 4)] * 2, [torch.zeros(0).long()] * 2)
    )
    assert found.label.item() == found.box.item() == 0


def test_objects_in_one_tensor():
    box, label = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]]), torch.tensor([3, 0])
    made = object_targets([box, box[:1]], [label, label[:1]])
    assert made.tolist() == [[[1, 2, 3, 4, 3], [5, 6, 7, 8, 0]], [[1, 2, 3, 4, 3], [-1] * 5]]


def test_labels_and_boxes_keep_their_precision():
    box = torch.tensor([[1.0, 2, 3, 4]], dtype=torch.bfloat16)
    made = object_targets([box], [torch.tensor([257])])
    assert made.dtype == torch.float32
    assert made[0, 0, 4] == 257
    fine = torch.tensor([[1.0, 2, 3, 4 + 1e-9]], dtype=torch.float64)
    assert object_targets([fine], [torch.tensor([0])])[0, 0, 3] == 4 + 1e-9


def test_losses_of_double_precision():
    net = TwoStageDetector(2, ANCHORS, in_channels=1, width=4, hidden=8).double()
    images, boxes, labels = squares(2, 5)
    found = net.losses(net(images.double()), object_targets([b.double() for b in boxes], labels))
    assert {part.dtype for part in found} == {torch.float64}


def test_settings_and_state():
    net = TwoStageDetector(2, ANCHORS, in_channels=1, width=4, hidden=8)
    assert net.name.out_features == 3
    assert net.hidden[1].in_features == 16 * 25
    other = TwoStageDetector(2, 2 * ANCHORS, in_channels=1, width=4, hidden=8)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.anchors, ANCHORS)
    other.anchors.zero_()
    assert ANCHORS.min() == 8  # the given anchors are copied
    assert net.double()(torch.zeros(1, 1, 16, 24).double()).answers.shape == (1, 12, 5)


BOX, LABEL = torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([0])
NET = TwoStageDetector(1, ANCHORS, width=4, hidden=8)
REFUSED = [
    (object_targets, ([BOX], []), ValueError, "labels must be as many as boxes, 1, got 0"),
    (
        object_targets,
        ([BOX], [LABEL[:0]]),
        ValueError,
        "labels must be one a box, 1 in a picture, from 0 on, got []",
    ),
    (
        object_targets,
        ([BOX], [LABEL - 1]),
        ValueError,
        "labels must be one a box, 1 in a picture, from 0 on, got [-1]",
    ),
    (object_targets, ([BOX], [LABEL.float()]), TypeError, "labels must hold whole numbers, got torch.float32 tensor"),
    (object_targets, ([BOX * float("nan")], [LABEL]), ValueError, "boxes must be finite, got [[nan"),
    (object_targets, ([BOX[0]], [LABEL]), ValueError, "boxes must have shape (objects, four=4)"),
    (TwoStageDetector, (0, ANCHORS), ValueError, "classes must be an integer >= 1, got 0"),
    (TwoStageDetector, (1, ANCHORS[0]), ValueError, "anchors must have shape (A, two=2)"),
    (NET, (torch.zeros(1, 3, 20, 16),), ValueError, "images must have sides that 8 divides"),
    (
        NET.losses,
        (NET(torch.zeros(2, 3, 16, 16)), torch.ones(2, 1, 5)),
        ValueError,
        "target must have labels up to 0, got 1",
    ),
    (
        NET.losses,
        (NET(torch.zeros(2, 3, 16, 16)), torch.zeros(2, 0, 5)),
        ValueError,
        "target must not be empty, got",
    ),
]


@pytest.mark.parametrize(("function", "arguments", "error", "message"), REFUSED)
def test_bad_input_is_refused(refuses, function, arguments, error, message):
    refuses(function, arguments, error, message)


@pytest.mark.parametrize("name", ["output_size", "hidden", "proposals", "samples", "width", "in_channels"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"^{name} must be an integer >= 1, got 0"):
        TwoStageDetector(1, ANCHORS, **{name: 0})


def test_another_pooling_is_refused():
    with pytest.raises(ValueError, match=r"^pooling must be one of"):
        TwoStageDetector(1, ANCHORS, pooling="mean")
