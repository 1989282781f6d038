"""Mirrors dlref/detection/yolo/precision.py."""

import contextlib
import io
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn.metrics import average_precision_score

from dlref.detection import COCO_THRESHOLDS, Detections, average_precisions, interpolated_precision, match

SIZES = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))


def some(rng, count: int, classes: int, side: int, levels: int) -> Detections:
    """Boxes on a coarse grid, so that overlaps and scores tie."""
    low = rng.integers(0, 12, (count, 2))
    high = low + rng.integers(1, 9, (count, 2))
    return Detections(
        torch.tensor(np.concatenate((low, high), 1) * float(side)),
        torch.tensor(rng.integers(0, classes, count)),
        torch.tensor(rng.integers(1, levels + 1, count) / levels),
    )


def around(rng, known: Detections, found: Detections, side: int) -> Detections:
    """Of the boxes found, most moved to an object or next to it, so that many overlap one enough."""
    boxes, labels = found.boxes.clone(), found.labels.clone()
    for k in range(len(boxes) if len(known.boxes) else 0):
        if rng.random() < 0.7:
            one = rng.integers(len(known.boxes))
            boxes[k] = known.boxes[one] + side * torch.tensor(rng.integers(0, 2, 2)).repeat(2)
            labels[k] = known.labels[one]
    return Detections(boxes, labels, found.scores)


def by_pycocotools(detections, objects, classes: int, most: int):
    """Its table of precisions, (T, R, K, A, M), without its talk."""
    images = [{"id": k} for k in range(len(objects))]
    annotations, results = [], []
    for k, (found, known) in enumerate(zip(detections, objects, strict=True)):
        for boxes, rows, kind in ((known, annotations, "known"), (found, results, "found")):
            for box, label, score in zip(
                boxes.boxes.tolist(), boxes.labels.tolist(), boxes.scores.tolist(), strict=True
            ):
                left, top, right, bottom = box
                row = {"image_id": k, "category_id": label, "bbox": [left, top, right - left, bottom - top]}
                if kind == "known":
                    area = (right - left) * (bottom - top)
                    row |= {"id": len(rows) + 1, "area": area, "iscrowd": 0}
                rows.append(row if kind == "known" else row | {"score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": c} for c in range(classes)],
        }
        truth.createIndex()
        predicted = truth.loadRes(results) if results else COCO()
        if not results:
            predicted.dataset = truth.dataset | {"annotations": []}
            predicted.createIndex()
        judge = COCOeval(truth, predicted, "bbox")
        judge.params.maxDets = [most]
        judge.params.areaRng = [list(size) for size in SIZES]
        judge.params.areaRngLbl = ["all", "small", "medium", "large"]
        judge.evaluate()
        judge.accumulate()
    table = judge.eval["precision"].mean(1)[..., 0]  # (T, K, A); -1 where there is no object
    return np.where(table < 0, np.nan, table)


@pytest.mark.verifies("eq-box-average-precision")
@given(
    st.integers(0, 2**31), st.integers(1, 4), st.integers(0, 8), st.integers(0, 8), st.sampled_from([1, 4, 16]),
    st.sampled_from([1, 3, 100]), st.integers(1, 5),
)  # fmt: skip
def test_it_is_cocos(seed, count, found, known, side, most, levels):
    rng = np.random.default_rng(seed)
    classes = 2
    objects = [some(rng, rng.integers(known + 1), classes, side, levels) for _ in range(count)]
    detections = [around(rng, o, some(rng, rng.integers(found + 1), classes, side, levels), side) for o in objects]
    theirs = by_pycocotools(detections, objects, classes, most)
    for k, area in enumerate(SIZES):
        ours = average_precisions(detections, objects, classes, max_detections=most, area=area)
        np.testing.assert_allclose(ours, theirs[:, :, k], rtol=0, atol=1e-12)


FACT = np.array([True, False, False, True, True])


def test_fact_of_other_programs():
    """A line to recall 1, which nobody reached, and a measure for classifiers, blind to the missed object."""

    def with_a_line_to_the_end(hits: np.ndarray) -> float:
        recall = np.concatenate(([0], np.cumsum(hits) / 4, [1]))
        precision = np.concatenate(([1], np.cumsum(hits) / np.arange(1, len(hits) + 1), [0]))
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        points = np.linspace(0, 1, 101)
        return np.trapezoid(np.interp(points, recall, envelope), points)

    assert with_a_line_to_the_end(FACT) == pytest.approx(0.623, abs=5e-4)
    assert with_a_line_to_the_end(FACT[:1]) == pytest.approx(0.625)
    assert interpolated_precision(FACT[:1], 4) == 0.25
    assert average_precision_score(FACT, np.arange(5, 0, -1)) == pytest.approx(0.7)


def test_fact_of_four_objects():
    """Detections T F F T T of four objects: steps, envelope, eleven points, a hundred and one."""
    recall = np.cumsum(FACT) / 4
    precision = np.cumsum(FACT) / np.arange(1, 6)
    assert (np.diff(recall, prepend=0) * precision).sum() == pytest.approx(0.525)
    assert interpolated_precision(FACT, 4) == pytest.approx(0.55)
    assert interpolated_precision(FACT, 4, points=11) == pytest.approx(0.545, abs=5e-4)
    assert interpolated_precision(FACT, 4, points=101) == pytest.approx(0.554, abs=5e-4)
    assert interpolated_precision(FACT[:1], 4) == 0.25


@given(st.lists(st.booleans(), max_size=12), st.integers(0, 4))
def test_interpolation_is_the_definition(hits, missed):
    hits = np.array(hits, bool)
    objects = int(hits.sum()) + missed
    if objects == 0:
        assert np.isnan(interpolated_precision(hits, 0, points=11))
        return
    recall, precision = np.cumsum(hits) / objects, np.cumsum(hits) / np.arange(1, len(hits) + 1)
    for points in (2, 11, 101):
        wanted = [precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, points)]
        assert interpolated_precision(hits, objects, points=points) == pytest.approx(np.mean(wanted), abs=1e-12)
    fine = interpolated_precision(hits, objects, points=20001)
    assert interpolated_precision(hits, objects) == pytest.approx(fine, abs=1e-3)


def test_matching_by_hand():
    assert match(np.array([[0.6, 0.7], [0.9, 0.8]]), 0.5).tolist() == [1, 0]
    assert match(np.array([[0.6, 0.7], [0.9, 0.8]]), 0.85).tolist() == [-1, 0]
    assert match(np.array([[0.6], [0.9]]), 0.5).tolist() == [0, -1], "a second box on the same object finds nothing"
    assert match(np.array([[0.7, 0.7]]), 0.7).tolist() == [1], "of equals the last; the threshold is enough"
    assert match(np.array([[1.0]]), 1.0).tolist() == [0]
    assert match(np.array([[1 - 1e-12]]), 1.0).tolist() == [0], "all but the rounding"
    assert match(np.array([[0.9, 0.6]]), 0.5).tolist() == [0], "the later one is enough, but less"
    assert match(np.zeros((0, 3)), 0.5).shape == (0,)
    assert match(np.zeros((2, 0)), 0.5).tolist() == [-1, -1]


def test_ignored_objects_are_a_last_resort():
    iou = np.array([[0.6, 0.9], [0.6, 0.9]])
    assert match(iou, 0.5, ignored=np.array([False, True])).tolist() == [0, 1]
    assert match(iou, 0.7, ignored=np.array([False, True])).tolist() == [1, -1]


def test_a_score_cut_changes_the_result():
    rng = np.random.default_rng(0)
    detections = [some(rng, 8, 1, 4, 100) for _ in range(20)]
    objects = [some(rng, 4, 1, 4, 100) for _ in range(20)]
    whole = average_precisions(detections, objects, 1, iou_thresholds=[0.3])
    cut = [Detections(*(field[d.scores > 0.5] for field in d)) for d in detections]
    assert average_precisions(cut, objects, 1, iou_thresholds=[0.3]) < whole


def test_defaults_are_cocos():
    assert pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]) == COCO_THRESHOLDS
    rng = np.random.default_rng(1)
    detections, objects = [some(rng, 120, 1, 4, 50)], [some(rng, 30, 1, 4, 50)]
    usual = average_precisions(detections, objects, 1)
    spelled = average_precisions(
        detections, objects, 1, iou_thresholds=COCO_THRESHOLDS, points=101, max_detections=100, area=(0.0, float("inf"))
    )
    assert np.array_equal(usual, spelled)
    assert not np.array_equal(usual, average_precisions(detections, objects, 1, max_detections=None))
    assert not np.array_equal(usual, average_precisions(detections, objects, 1, points=11))


def test_a_class_without_objects_has_no_value():
    found = Detections(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([1]), torch.ones(1))
    none = Detections(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))
    table = average_precisions([found, none], [none, none], 2, iou_thresholds=[0.5])
    assert np.isnan(table).all()
    table = average_precisions([none], [found], 2, iou_thresholds=[0.5])
    assert np.isnan(table[0, 0])
    assert table[0, 1] == 0


def test_order_of_pictures_and_half_precision():
    rng = np.random.default_rng(2)
    detections, objects = [some(rng, 6, 2, 4, 1000) for _ in range(5)], [some(rng, 5, 2, 4, 9) for _ in range(5)]
    usual = average_precisions(detections, objects, 2)
    order = [3, 1, 4, 0, 2]
    moved = average_precisions([detections[k] for k in order], [objects[k] for k in order], 2)
    np.testing.assert_allclose(moved, usual)
    singles = [Detections(d.boxes.float(), d.labels, d.scores.float()) for d in detections]
    np.testing.assert_allclose(average_precisions(singles, objects, 2), usual)


def boxes_of(*rights: float, scores: torch.Tensor | None = None) -> Detections:
    """Boxes from the corner on, ten wide, all of one class."""
    high = torch.tensor([[10.0, right] for right in rights]).reshape(-1, 2)
    scores = torch.ones(len(high)) if scores is None else scores
    return Detections(torch.cat((torch.zeros_like(high), high), 1), torch.zeros(len(high)).long(), scores)


def test_the_hundred_and_first_is_not_looked_at():
    found = boxes_of(*[1.0] * 100, 10.0, scores=torch.linspace(1, 0.5, 101))
    assert average_precisions([found], [boxes_of(10.0)], 1, iou_thresholds=[0.5]) == 0
    assert average_precisions([found], [boxes_of(10.0)], 1, iou_thresholds=[0.5], max_detections=101) > 0


def test_of_equal_scores_the_earlier_picture_comes_first_and_in_it_the_earlier_box():
    right, wrong = boxes_of(*[10.0] * 30), boxes_of(*[1.0] * 30)
    objects = [boxes_of(*[10.0] * 30), boxes_of()]
    assert average_precisions([right, wrong], objects, 1, iou_thresholds=[0.5]) == 1
    late = average_precisions([wrong, right], objects[::-1], 1, iou_thresholds=[0.5])
    assert late == pytest.approx(0.5), "at every recall, reached at the end"
    mixed = boxes_of(*[10.0, 1.0] * 30)
    cut = average_precisions([mixed], objects[:1], 1, iou_thresholds=[0.5], max_detections=20, points=None)
    assert cut == pytest.approx(sum(k / (2 * k - 1) for k in range(1, 11)) / 30)


def test_what_is_ignored_is_left_to_others():
    """The detection overlaps the object that is too large by 0.95, the one that counts by 0.6."""
    objects, within = boxes_of(10.5, 6.0), {"iou_thresholds": [0.5], "area": (0.0, 100.0)}
    assert average_precisions([boxes_of(10.0)], [objects], 1, **within) == 1
    both = boxes_of(10.0, 6.0, scores=torch.tensor([0.8, 0.9]))
    assert average_precisions([both], [objects], 1, **within) == 1, "the second neither right nor wrong"
    assert average_precisions([boxes_of(10.0, 6.0)], [boxes_of(10.5, 20.0)], 1, **within).tolist() != [[0]]


KNOWN = Detections(torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([0]), torch.ones(1))


def labelled(label: int) -> Detections:
    return Detections(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([label]), torch.ones(1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: match(np.ones((1, 1)), 0.0), ValueError, "iou_threshold must be a number in (0, 1], got 0.0"),
        (
            lambda: match(np.ones((1, 2)), 0.5, ignored=np.zeros(1, bool)),
            ValueError,
            "ignored must say yes or no to 2 objects, got bool array of shape (1,)",
        ),
        (lambda: interpolated_precision(FACT, 2), ValueError, "objects must be at least the hits, 3, got 2"),
        (lambda: interpolated_precision(FACT, -1), ValueError, "objects must be an integer >= 0, got -1"),
        (lambda: interpolated_precision(FACT, 4, points=1), ValueError, "points must be an integer >= 2, got 1"),
        (
            lambda: average_precisions([labelled(1)], [labelled(0)], 1),
            ValueError,
            "detections must have labels in [0, 0], got 1 to 1",
        ),
        (
            lambda: average_precisions([labelled(0)], [labelled(-1)], 1),
            ValueError,
            "objects must have labels in [0, 0], got -1 to -1",
        ),
        (lambda: average_precisions([], [], 1), ValueError, "detections must be of one picture at least"),
        (
            lambda: average_precisions([KNOWN], [], 1),
            ValueError,
            "objects must be of as many pictures as detections, 1, got 0",
        ),
        (lambda: average_precisions([KNOWN], [KNOWN], 0), ValueError, "classes must be an integer >= 1, got 0"),
        (
            lambda: average_precisions([KNOWN], [KNOWN], 1, max_detections=0),
            ValueError,
            "max_detections must be an integer >= 1, got 0",
        ),
        (
            lambda: average_precisions([KNOWN._replace(scores=torch.tensor([torch.nan]))], [KNOWN], 1),
            ValueError,
            "detections must have scores that are not NaN",
        ),
    ],
)
def test_bad_input_is_refused(refuses, call, error, message):
    refuses(call, (), error, message)


def test_every_order_of_hits_keeps_the_bounds():
    for hits in itertools.product([False, True], repeat=5):
        value = interpolated_precision(np.array(hits), 5)
        assert 0 <= value <= sum(hits) / 5
