"""Mirrors dlref/detection/yolo/anchors.py."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlref.detection import box_iou, kmeans_anchors, shape_iou


def sizes(seed: int, count: int) -> torch.Tensor:
    return 1 + 20 * torch.rand(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.verifies("eq-shape-iou")
@given(st.integers(0, 2**31), st.integers(0, 6), st.integers(0, 6))
def test_it_is_the_iou_of_boxes_on_one_centre(seed, n, a):
    one, other = sizes(seed, n), sizes(seed + 1, a)
    centred = (torch.cat((-s / 2, s / 2), 1) for s in (one, other))
    torch.testing.assert_close(shape_iou(one, other), box_iou(*centred), rtol=0, atol=1e-12)


def test_fact_of_a_tie():
    anchors = torch.tensor([[1.0, 3], [3, 1]])
    assert shape_iou(torch.tensor([[2.0, 2]]), anchors).tolist() == [pytest.approx([0.4, 0.4])]


def test_large_boxes_of_half_precision():
    """Areas of 90,000 are too large for it."""
    large = torch.tensor([[300.0, 300.0], [300.0, 150.0]], dtype=torch.float16)
    assert shape_iou(large, large[:1]).tolist() == [[1.0], [0.5]]


def test_groups_are_found():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4.0, 4], [5, 20], [20, 6]])
    some = centres.repeat(50, 1) * (1 + 0.05 * torch.randn(150, 2, generator=generator))
    found = [kmeans_anchors(some, 3, seed=seed) for seed in range(10)]
    close = [bool((f / centres[[0, 1, 2]] - 1).abs().max() < 0.1) for f in found]
    assert sum(close) >= 6, "from most starts"
    fits = [shape_iou(some, f).amax(1).mean() for f in found]
    assert all(close[k] for k, fit in enumerate(fits) if fit == max(fits)), "the best fit is the right one"


def test_no_further_round_does_better():
    some = sizes(3, 300)
    found = kmeans_anchors(some, 4)
    owner = shape_iou(some, found).argmax(1)
    means = torch.stack([some[owner == a].mean(0) for a in range(4)])
    fit = shape_iou(some, found).amax(1).mean()
    assert fit >= shape_iou(some, means).amax(1).mean()
    for a in range(4):
        drawn = shape_iou(some, some[torch.arange(4) + 10 * a]).amax(1).mean()
        assert fit > drawn


def test_more_anchors_fit_better_and_are_sorted():
    some = sizes(5, 200)
    fits = []
    for k in (1, 2, 4, 8):
        found = kmeans_anchors(some, k)
        assert found.shape == (k, 2)
        assert (found.prod(1).diff() >= 0).all()
        fits.append(shape_iou(some, found).amax(1).mean().item())
    assert fits == sorted(fits)


def test_as_many_anchors_as_boxes():
    some = sizes(7, 5)
    found = kmeans_anchors(some, 5)
    assert torch.equal(found, some[some.prod(1).argsort()])


def test_equal_boxes_leave_anchors_without_boxes():
    some = torch.full((6, 2), 3.0)
    assert torch.equal(kmeans_anchors(some, 3), some[:3])


def test_the_start_depends_on_the_seed_alone():
    some = sizes(9, 100)
    torch.manual_seed(1)
    first = kmeans_anchors(some, 5, seed=4, iterations=1)
    torch.manual_seed(2)
    assert torch.equal(first, kmeans_anchors(some, 5, seed=4, iterations=1))
    others = [kmeans_anchors(some, 5, seed=s, iterations=1) for s in range(5)]
    assert any(not torch.equal(first, other) for other in others)
    assert torch.equal(kmeans_anchors(some, 5), kmeans_anchors(some, 5, seed=0, iterations=100))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.ones(2, 3), torch.ones(1, 2)), ValueError, "sizes must have shape (N, two=2), got"),
        ((torch.ones(2, 2), torch.ones(2)), ValueError, "anchors must have shape (N, two=2), got"),
        ((torch.ones(2, 2).long(), torch.ones(2, 2)), TypeError, "sizes must hold floating-point numbers, got"),
    ],
)
def test_shapes_that_are_none_are_refused(refuses, arguments, error, message):
    refuses(shape_iou, arguments, error, message)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.ones(2, 2), 0), ValueError, "k must be an integer >= 1, got 0"),
        ((torch.ones(2, 2), 3), ValueError, "sizes must be at least k = 3 boxes, got 2"),
        ((torch.ones(0, 2), 1), ValueError, "sizes must "),
        ((torch.tensor([[1.0, 0.0]]), 1), ValueError, "sizes must hold widths and heights above 0, and finite"),
        ((torch.tensor([[1.0, torch.inf]]), 1), ValueError, "sizes must hold widths and heights above 0, and finite"),
    ],
)
def test_boxes_without_anchors_are_refused(refuses, arguments, error, message):
    refuses(kmeans_anchors, arguments, error, message)


def test_errors_name_the_argument(unchecked):
    sizes = torch.tensor([[2.0, 3.0], [9.0, 2.0], [1.0, 1.0]])
    for name, value, message in [
        ("iterations", 0, "iterations must be an integer >= 1, got 0"),
        ("seed", -1, "seed must be an integer >= 0, got -1"),
        ("k", 0, "k must be an integer >= 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}$"):
            kmeans_anchors(sizes, **{"k": 2, name: value})
    with pytest.raises(ValueError, match=r"^sizes must have shape \(N, two=2\), got torch.float32 tensor of shape"):
        kmeans_anchors(torch.ones(3, 4), 2)


def test_default_number_of_rounds():
    sizes = 1 + 50 * torch.rand(4000, 2, generator=torch.Generator().manual_seed(3))
    for seed in range(3):
        assert torch.equal(kmeans_anchors(sizes, 12, seed=seed), kmeans_anchors(sizes, 12, iterations=100, seed=seed))
