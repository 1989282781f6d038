"""Mirrors dlref/data/brain.py."""

import numpy as np
import pytest

from dlref.data import BrainSlices, brain_slices, brain_windows
from dlref.data.brain import SLICES


def test_splits_are_apart():
    heights = [set(s) for s in SLICES.values()]
    for k, one in enumerate(heights):
        for other in heights[k + 1 :]:
            assert min(abs(a - b) for a in one for b in other) > 5


@pytest.mark.parametrize(("split", "count"), [("train", 50), ("dev", 10), ("test", 21)])
def test_shapes_and_values(split, count):
    found = brain_slices(split=split)
    assert isinstance(found, BrainSlices)
    assert found.images.shape == (count, 1, 208, 176)
    assert found.masks.shape == (count, 208, 176)
    assert found.images.dtype == np.float32
    assert found.masks.dtype == np.int64
    assert np.unique(found.masks).tolist() == [0, 1, 2]
    assert not found.images.flags.writeable
    rim = np.ones((208, 176), bool)
    rim[1:-1, 1:-1] = False
    assert not found.masks[:, rim].any()  # nothing is cut off


def test_clean_slices_are_told_by_their_brightness():
    clean = brain_slices(split="test", degraded=False)
    means = [clean.images[:, 0][clean.masks == k].mean() for k in range(3)]
    assert means[0] < 0.3 < means[1] < means[2]
    assert clean.images.min() == 0
    assert clean.images.max() <= 1


def test_gain_and_noise():
    clean, made = (brain_slices(split="dev", degraded=d).images[:, 0].astype(float) for d in (False, True))
    empty = clean == 0
    assert made[empty].std() == pytest.approx(0.06, rel=0.02)  # noise alone
    assert abs(made[empty].mean()) < 1e-3
    bright = clean[0] > 0.5
    gain = (made[0] / np.maximum(clean[0], 0.1))[bright]
    assert 0.1 < np.log(np.clip(gain, 0.1, None)).std() < 0.4
    again = brain_slices(split="dev", seed=1).images
    assert (again != brain_slices(split="dev").images).all(1).mean() > 0.99
    np.testing.assert_array_equal(again, brain_slices(split="dev", seed=1).images)


def test_windows():
    found = brain_windows(6, size=48)
    assert found.images.shape == (6, 1, 48, 48)
    assert found.masks.shape == (6, 48, 48)
    np.testing.assert_array_equal(found.images, brain_windows(6, size=48).images)
    other = brain_windows(6, size=48, seed=1)
    assert (other.images != found.images).mean() > 0.99
    assert brain_windows(2, split="test").masks.shape == (2, 96, 96)


def test_windows_are_parts_of_slices():
    """Each mask is found in a slice, as it is or mirrored."""
    known = brain_slices(split="dev", degraded=False).masks
    for mask in brain_windows(5, split="dev", size=170).masks:
        found = 0
        for whole in known:
            for top in range(208 - 170 + 1):
                for left in range(176 - 170 + 1):
                    part = whole[top : top + 170, left : left + 170]
                    found += np.array_equal(part, mask) or np.array_equal(part[:, ::-1], mask)
        assert found >= 1


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (
            lambda s: brain_slices(split=s),
            ("all",),
            ValueError,
            "split must be one of 'train', 'dev', 'test', got 'all'",
        ),
        (lambda s: brain_slices(seed=s), (-1,), ValueError, "seed must be an integer >= 0, got -1"),
        (brain_windows, (0,), ValueError, "count must be an integer >= 1, got 0"),
        (lambda s: brain_windows(1, size=s), (177,), ValueError, "size must be an integer in [1, 176], got 177"),
        (lambda s: brain_windows(1, split=s), ("all",), ValueError, "split must be one of"),
        (lambda s: brain_windows(1, seed=s), (-1,), ValueError, "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_input_is_refused(refuses, function, arguments, error, message):
    refuses(function, arguments, error, message)
