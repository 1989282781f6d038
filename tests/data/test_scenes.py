"""Mirrors dlref/data/scenes.py."""

import itertools

import numpy as np
import pytest

from dlref.data import Scenes, digit_scenes, digit_windows, digits
from dlref.data.scenes import BACKGROUNDS


def overlaps(boxes):
    """Intersection over union of each two, by counted pixels."""
    for one, other in itertools.combinations(boxes.astype(int), 2):
        masks = np.zeros((2, 300, 300), bool)
        for mask, (left, top, right, bottom) in zip(masks, (one, other), strict=True):
            mask[top:bottom, left:right] = True
        yield masks.all(0).sum() / masks.any(0).sum()


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_scenes_are_as_asked_for(split):
    found = digit_scenes(60, split=split, size=70, objects=(1, 4), scale=(16, 40))
    assert isinstance(found, Scenes)
    assert found.images.shape == (60, 3, 70, 70)
    assert found.images.dtype == np.float32
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    assert {len(boxes) for boxes in found.boxes} == {1, 2, 3, 4}
    heights = []
    for boxes, labels in zip(found.boxes, found.labels, strict=True):
        assert boxes.dtype == np.float32
        assert labels.dtype == np.int64
        assert len(boxes) == len(labels)
        assert ((labels >= 0) & (labels < 10)).all()
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= 70).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert all(overlap <= 0.2 for overlap in overlaps(boxes))
        heights += list(boxes[:, 3] - boxes[:, 1])
    assert 5 / 7 * 16 - 3 < min(heights) < 5 / 7 * 16 + 3
    assert 5 / 7 * 40 - 3 < max(heights) < 5 / 7 * 40 + 3


def test_a_box_is_as_tight_as_the_ink():
    """On its own scene without the digit, what differs lies in the box and reaches its four sides."""
    found = digit_scenes(30, size=40, objects=(1, 1), scale=(28, 28), seed=3)
    whole = digits()
    pool = whole.x_train[:-800], whole.y_train[:-800]
    for image, boxes, labels in zip(found.images, found.boxes, found.labels, strict=True):
        left, top, right, bottom = boxes[0].astype(int)
        same = pool[0][pool[1] == labels[0]]
        inside = image[:, top:bottom, left:right]
        fits = []
        for picture in same:
            rows, columns = (np.flatnonzero((picture >= 0.2).any(axis)) for axis in (1, 0))
            ink = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            if ink.shape == inside.shape[1:] and (ink == 1).any():
                full = inside[:, ink == 1]
                fits.append(np.ptp(full, axis=1).max())
        assert min(fits) < 1e-6, "where the ink covers all, its colour is one"


def test_splits_share_no_photograph_and_no_digit():
    names = [name for part in BACKGROUNDS.values() for name in part]
    assert len(names) == len(set(names))
    one, other = (digit_scenes(3, split=split, seed=1) for split in ("train", "test"))
    assert not np.array_equal(one.images, other.images)


def test_same_arguments_same_scenes_and_read_only():
    one = digit_scenes(4, seed=5)
    assert one is digit_scenes(4, seed=5)
    assert not np.array_equal(one.images, digit_scenes(4, seed=6).images)
    for array in (one.images, one.boxes[0], one.labels[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_scenes_without_digits():
    found = digit_scenes(40, size=32, objects=(0, 1), scale=(20, 30))
    empty = [len(boxes) == 0 for boxes in found.boxes]
    assert 10 < sum(empty) < 30
    assert found.boxes[empty.index(True)].shape == (0, 4)
    assert not any(len(boxes) for boxes in digit_scenes(5, objects=(0, 0)).boxes)


def test_windows_hold_a_whole_digit_or_none():
    found = digit_windows(300, split="dev", size=32, scale=(24, 32), seed=2)
    assert found.images.shape == (300, 3, 32, 32)
    whole = [len(boxes) for boxes in found.boxes]
    assert set(whole) == {0, 1}
    assert 0.6 < np.mean(whole[::2]) < 0.9, "three of four scenes have a digit"
    assert 0.05 < np.mean(whole[1::2]) < 0.4
    for boxes in found.boxes:
        assert (boxes >= 0).all()
        assert (boxes <= 32).all()
    assert found.images.flags.writeable is False
    again = digit_windows(300, split="dev", size=32, scale=(24, 32), seed=2)
    assert np.array_equal(found.images, again.images)


def test_windows_are_parts_of_the_scenes():
    windows = digit_windows(6, seed=4)
    scenes = digit_scenes(3, size=64, objects=(0, 3), scale=(24, 32), seed=4)
    for number, (image, boxes) in enumerate(zip(windows.images, windows.boxes, strict=True)):
        scene, known = scenes.images[number // 2], scenes.boxes[number // 2]
        views = np.lib.stride_tricks.sliding_window_view(scene, (3, 32, 32))[0]
        places = np.argwhere((views == image).all((2, 3, 4)))
        assert len(places) == 1
        top, left = places[0]
        inside = known - np.array([left, top, left, top], np.float32)
        inside = inside[((inside >= 0) & (inside <= 32)).all(1)]
        assert len(boxes) == min(1, len(inside))
        if len(boxes):
            off = np.abs((inside[:, :2] + inside[:, 2:]) / 2 - 16).max(1)
            assert np.array_equal(boxes[0], inside[off.argmin()])


def test_an_odd_number_of_windows():
    assert len(digit_windows(5).boxes) == 5


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [digit_scenes, digit_windows])
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"count": 0}, ValueError, "count must be an integer >= 1, got 0"),
        ({"split": "valid"}, ValueError, "split must be one of 'train', 'dev', 'test', got 'valid'"),
        ({"scale": (30, 20)}, ValueError, r"scale must be an integer >= 30, got 20"),
        ({"scale": 30}, TypeError, r"scale must be two integers, lowest and highest, got 30 \(int\)"),
        ({"scale": (7, 20)}, ValueError, "scale must be an integer >= 8, got 7"),
        ({"scale": (20, 30), "size": 29}, ValueError, r"scale must be an integer in \[8, 29\], got 30"),
        ({"size": 7}, ValueError, r"size must be an integer in \[8, \d+\], got 7"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0, got -1"),
    ],
)
def test_settings_are_refused(make, settings, error, message):
    with pytest.raises(error, match=message):
        make(**({"count": 2} | settings))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("objects", [(2, 1), (-1, 2), 3, (1, 2, 3)])
def test_numbers_of_objects_are_refused(objects):
    with pytest.raises((TypeError, ValueError), match="objects must be"):
        digit_scenes(2, objects=objects)
