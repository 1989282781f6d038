"""Mirrors dlref/detection/region_proposals/pooling.py."""

import importlib
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from dlref.detection import roi_align, roi_pool
from dlref.detection.region_proposals import pooling


def regions(seed: int, pictures: int = 2, count: int = 6, grid: float = 0.25):
    """A map, and boxes that also reach out of it, with edges on multiples of ``grid``; some without an area."""
    rng = np.random.default_rng(seed)
    map_ = torch.tensor(rng.normal(size=(pictures, 3, 7, 5)))
    corners = np.round(rng.uniform(-3, 10, (count, 2, 2)) / grid) * grid
    boxes = np.concatenate((corners.min(1), corners.max(1)), 1)
    owner = rng.integers(0, pictures, (count, 1))
    return map_, torch.tensor(np.concatenate((owner, boxes), 1))


def rounded(x: float) -> int:
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def pooled_by_definition(map_, boxes, size, scale):
    """Part after part, with whole numbers."""
    found = np.zeros((len(boxes), map_.shape[1], *size))
    for n, (picture, *edges) in enumerate(boxes.tolist()):
        left, top, right, bottom = (rounded(edge * scale) for edge in edges)
        height, width = bottom - top + 1, right - left + 1
        for p, q in itertools.product(*map(range, size)):
            rows = range(top + p * height // size[0], top + math.ceil((p + 1) * height / size[0]))
            columns = range(left + q * width // size[1], left + math.ceil((q + 1) * width / size[1]))
            rows = [r for r in rows if 0 <= r < map_.shape[2]]
            columns = [c for c in columns if 0 <= c < map_.shape[3]]
            if rows and columns:
                found[n, :, p, q] = map_[int(picture)][:, rows][:, :, columns].amax((1, 2))
    return torch.tensor(found)


@given(st.integers(0, 2**31), st.sampled_from([(1, 1), (2, 2), (3, 2), (7, 7)]), st.sampled_from([1.0, 0.5, 1.7]))
def test_pooling_is_the_definition(seed, size, scale):
    map_, boxes = regions(seed)
    torch.testing.assert_close(roi_pool(map_, boxes, size, scale), pooled_by_definition(map_, boxes, size, scale))


@given(st.integers(0, 2**31))
def test_halves_are_rounded_away_from_zero(seed):
    values = torch.tensor(np.random.default_rng(seed).integers(-9, 9, 30) / 4)
    assert pooling._round(values).tolist() == [rounded(v) for v in values.tolist()]
    assert pooling._round(torch.tensor(0.49999997)).item() == 0  # adding a half would give 1


def at_point(image, y, x):
    """Bilinear interpolation at one point; 0 more than one place outside."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros_like(image[:, 0, 0])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = min(int(y), max(height - 2, 0)), min(int(x), max(width - 2, 0))
    total = torch.zeros_like(image[:, 0, 0])
    for row, column in itertools.product((top, top + 1), (left, left + 1)):
        weight = (1 - abs(y - row)) * (1 - abs(x - column))
        if weight:
            total = total + weight * image[:, row, column]
    return total


def aligned_by_definition(map_, boxes, size, scale, ratio, aligned):
    """Part after part, point after point, as torchvision's compiled operation has it."""
    found = torch.zeros(len(boxes), map_.shape[1], *size, dtype=map_.dtype)
    for n, (picture, *edges) in enumerate(boxes.tolist()):
        left, top, right, bottom = (edge * scale - (0.5 if aligned else 0) for edge in edges)
        height, width = bottom - top, right - left
        if not aligned:
            height, width = max(height, 1), max(width, 1)
        sides = height / size[0], width / size[1]
        down, across = (ratio, ratio) if ratio > 0 else (math.ceil(side) for side in sides)
        for p, q in itertools.product(*map(range, size)):
            points = [
                at_point(
                    map_[int(picture)],
                    top + sides[0] * (p + (i + 0.5) / down),
                    left + sides[1] * (q + (j + 0.5) / across),
                )
                for i, j in itertools.product(range(down), range(across))
            ]
            if points:
                found[n, :, p, q] = sum(points) / len(points)
    return found


SETTINGS = (
    st.integers(0, 2**31),
    st.sampled_from([(1, 1), (2, 2), (3, 2)]),
    st.sampled_from([1.0, 0.5]),
    st.sampled_from([-1, 0, 1, 2, 3]),
    st.booleans(),
)


@given(*SETTINGS)
def test_aligning_is_the_definition(seed, size, scale, ratio, aligned):
    map_, boxes = regions(seed)
    made = roi_align(map_, boxes, size, scale, ratio, aligned)
    torch.testing.assert_close(made, aligned_by_definition(map_, boxes, size, scale, ratio, aligned))


@given(*SETTINGS)
def test_aligning_is_torchvisions(torchvision, seed, size, scale, ratio, aligned):
    """Its Python form, which clips points that lie outside: so boxes inside only."""
    theirs = importlib.import_module("torchvision.ops.roi_align")._roi_align.__wrapped__  # else it is compiled
    map_, boxes = regions(seed)
    boxes[:, 1::2], boxes[:, 2::2] = boxes[:, 1::2].clamp(0, 4), boxes[:, 2::2].clamp(0, 6)
    ours_in, theirs_in = (map_.clone().requires_grad_() for _ in range(2))
    boxes = boxes[(boxes[:, 3:] > boxes[:, 1:3]).all(1)]  # without area it divides by 0 points
    ours = roi_align(ours_in, boxes, size, scale, ratio, aligned)
    expected = theirs(theirs_in, boxes, scale, *size, ratio, aligned)
    torch.testing.assert_close(ours, expected)
    weights = torch.linspace(-1, 2, ours.numel(), dtype=ours.dtype).reshape(ours.shape)
    (ours * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours_in.grad, theirs_in.grad)


@pytest.mark.verifies("eq-roi-align")
def test_fact_of_a_ramp():
    """v = 4 y + x: the middle of a part of a ramp is its mean."""
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    box = [torch.tensor([[1.0, 1.0, 3.0, 3.0]])]
    assert roi_align(ramp, box, 2, aligned=True).squeeze().tolist() == [[5, 6], [9, 10]]
    assert roi_align(ramp, box, 2).squeeze().tolist() == [[7.5, 8.5], [11.5, 12.5]]
    assert roi_pool(ramp, box, 2).squeeze().tolist() == [[10, 11], [14, 15]]


def test_both_ways_to_say_which_picture():
    map_, boxes = regions(1)
    listed = [boxes[boxes[:, 0] == picture, 1:] for picture in range(2)]
    order = torch.cat([(boxes[:, 0] == picture).nonzero().flatten() for picture in range(2)])
    for cut in (roi_align, roi_pool):
        torch.testing.assert_close(cut(map_, listed, 2), cut(map_, boxes, 2)[order])
    none = [boxes[:0, 1:], boxes[:0, 1:]]
    assert roi_align(map_, none, (2, 3)).shape == roi_pool(map_, boxes[:0], (2, 3)).shape == (0, 3, 2, 3)


def test_gradients():
    map_, boxes = regions(2, count=4, grid=0.001)
    map_.requires_grad_()
    for aligned in (False, True):
        assert gradcheck(lambda m, a=aligned: roi_align(m, boxes, 2, 0.7, 2, a), map_)
        assert gradgradcheck(lambda m, a=aligned: roi_align(m, boxes, 2, 0.7, 2, a), map_)
    assert gradcheck(lambda m: roi_pool(m, boxes, 2, 0.7), map_)
    inside = torch.tensor([[0.0, 0.33, 1.21, 2.87, 4.93]], dtype=torch.float64)
    inside.requires_grad_()
    fixed = map_.detach()

    def of_edges(edges):
        return roi_align(fixed, torch.cat((inside[:, :1].detach(), edges), 1), 2, 1.0, 2, True)

    assert gradcheck(of_edges, inside[:, 1:].detach().requires_grad_())


def test_of_equal_maxima_one_gets_the_gradient():
    flat = torch.ones(1, 1, 4, 4, requires_grad=True)
    roi_pool(flat, [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 1).sum().backward()
    assert flat.grad is not None
    assert sorted(flat.grad.flatten().tolist()) == [0] * 15 + [1]


def test_dtype_stays():
    map_, boxes = regions(3)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for cut in (roi_align, roi_pool):
            made = cut(map_.to(dtype), boxes.to(dtype), 2)
            assert made.dtype == dtype
            torch.testing.assert_close(
                made.double(), cut(map_.to(dtype).double(), boxes.to(dtype).double(), 2), rtol=0.05, atol=0.05
            )


def test_what_is_not_finite_counts_only_where_it_is_met():
    """As point by point; a product with zeros alone would make everything NaN."""
    boxes = [torch.tensor([[0.0, 0, 2, 2], [3, 3, 5, 5], [0, 0, 6, 6]], dtype=torch.float64)]
    for value in (float("nan"), float("inf"), -float("inf")):
        map_ = torch.tensor(np.random.default_rng(0).normal(size=(1, 2, 7, 6)))
        map_[0, 0, 4, 4] = value
        made = roi_align(map_, boxes, 2, 1.0, 2, True)
        owned = torch.cat((torch.zeros(3, 1, dtype=torch.float64), boxes[0]), 1)
        expected = aligned_by_definition(map_, owned, (2, 2), 1.0, 2, True)
        torch.testing.assert_close(made, expected, equal_nan=True)
        assert made[0].isfinite().all()
        assert not made[1, 0].isfinite().all()
    map_ = torch.zeros(1, 1, 4, 4)
    map_[0, 0, 1, 1], map_[0, 0, 1, 2] = float("inf"), -float("inf")
    assert roi_align(map_, [torch.tensor([[1.0, 1, 3, 2]])], 1, 1.0, 2, True).isnan().all()


def test_pooling_of_minus_infinity():
    low = torch.full((1, 1, 4, 4), -torch.inf)
    assert roi_pool(low, [torch.tensor([[0.0, 0, 1, 1]])], 1).item() == -torch.inf
    assert roi_pool(low, [torch.tensor([[5.0, 5, 6, 6]])], 1).item() == 0  # outside


def test_edges_beyond_all_whole_numbers():
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    far = roi_pool(ramp, [torch.tensor([[-1e30, -1e30, 1e30, 1e30]])], 1)
    assert far.item() == 15


def test_a_region_without_an_area():
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    point = [torch.tensor([[1.5, 1.5, 1.5, 1.5]])]
    assert roi_align(ramp, point, 1, 1.0, -1, True).item() == 0
    assert roi_align(ramp, point, 1, 1.0, 2, True).item() == 5


BOX = torch.tensor([[0.0, 0, 2, 2]])
MAP = torch.zeros(1, 1, 4, 4)
REFUSED = [
    ((MAP[0], [BOX], 2), ValueError, "input must have shape (B, C, H, W)"),
    ((MAP, [BOX, BOX], 2), ValueError, "boxes must be those of 1 pictures, got 2"),
    ((MAP, [BOX[:, :3]], 2), ValueError, "boxes must have shape (N, four=4)"),
    ((MAP, BOX, 2), ValueError, "boxes must have shape (N, five=5)"),
    ((MAP, torch.tensor([[1.0, 0, 0, 2, 2]]), 2), ValueError, "boxes must have a whole number from 0 to 0 first"),
    ((MAP, torch.tensor([[-1.0, 0, 0, 2, 2]]), 2), ValueError, "boxes must have a whole number from 0 to 0 first"),
    ((MAP, torch.tensor([[0.5, 0, 0, 2, 2]]), 2), ValueError, "boxes must have a whole number from 0 to 0 first"),
    (
        (MAP, [BOX.flip(1)], 2),
        ValueError,
        "boxes must be finite, with their right edge not left of the left one, and their",
    ),
    ((MAP, [BOX * float("nan")], 2), ValueError, "boxes must be finite, with their right edge not left of"),
    ((MAP, [BOX + torch.tensor([0, 0, float("inf"), 0])], 2), ValueError, "boxes must be finite, with their right"),
    ((MAP, [BOX], 0), ValueError, "output_size must be an integer >= 1, got 0"),
    ((MAP, [BOX], (2, 0)), ValueError, "output_size must be an integer >= 1, got 0"),
    ((MAP, [BOX], 2, 0.0), ValueError, "spatial_scale must be a number in (0, inf), got 0.0"),
]


@pytest.mark.parametrize("cut", [roi_align, roi_pool])
@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED)
def test_bad_input_is_refused(refuses, cut, arguments, error, message):
    refuses(cut, arguments, error, message)


@pytest.mark.usefixtures("unchecked")
def test_points_are_whole_numbers():
    with pytest.raises(TypeError, match=r"^sampling_ratio must be an integer >= -1, got 2.5"):
        roi_align(MAP, [BOX], 2, 1.0, 2.5)
    with pytest.raises(ValueError, match=r"^sampling_ratio must be an integer >= -1, got -2$"):
        roi_align(MAP, [BOX], 2, 1.0, -2)
