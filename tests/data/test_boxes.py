"""Mirrors dlref/data/boxes.py."""

import numpy as np
import pytest

from dlref.data import Nuclei, nuclei, nuclei_windows


def test_nuclei_have_a_box_each():
    cells = nuclei()
    assert isinstance(cells, Nuclei)
    assert cells.image.shape == cells.mask.shape == (512, 512)
    assert cells.image.dtype == np.float32
    assert (cells.image.min(), cells.image.max()) == (0, 1)
    assert np.unique(cells.mask).tolist() == list(range(126))
    assert cells.boxes.shape == (125, 4)
    for number in (1, 60, 125):
        left, top, right, bottom = cells.boxes[number - 1]
        inside = cells.mask[top:bottom, left:right] == number
        assert inside.sum() == (cells.mask == number).sum() > 20
        for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert side.any(), "no row and no column too many"


def test_nuclei_are_brighter_than_what_lies_between():
    cells = nuclei()
    assert cells.image[cells.mask > 0].mean() > 2 * cells.image[cells.mask == 0].mean()


def test_nuclei_are_read_once_and_cannot_be_changed():
    assert nuclei() is nuclei()
    for array in nuclei():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_squares_of_nuclei_are_parts_of_their_strip(split):
    """Each is one of the eight orientations of a place, and its boxes hold nuclei."""
    found = nuclei_windows(12, split=split, size=64, seed=3)
    assert found.images.shape == (12, 1, 64, 64)
    first, last = {"train": (0, 240), "dev": (240, 320), "test": (320, 512)}[split]
    known = nuclei()
    places = np.lib.stride_tricks.sliding_window_view(known.image[:, first:last], (64, 64))
    for image, boxes, labels in zip(found.images[:, 0], found.boxes, found.labels, strict=True):
        turned = [turn for k in range(4) for turn in (np.rot90(image, k), np.rot90(image.T, k))]
        at = [np.argwhere((places[..., 0, 0] == turn[0, 0]) & (places[..., 63, 63] == turn[63, 63])) for turn in turned]
        same = [np.array_equal(places[r, c], turn) for turn, some in zip(turned, at, strict=True) for r, c in some]
        assert any(same)
        assert not labels.any()
        assert len(labels) == len(boxes)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        assert ((centre > 0) & (centre < 64)).all()
        for left, top, right, bottom in boxes.clip(0, 64).astype(int):
            assert image[top:bottom, left:right].max() > image.mean()


def test_boxes_of_turned_squares_fit_the_nuclei():
    """With the mask in place of the photograph, each box is as tight as its nucleus."""
    known = nuclei()
    found = nuclei_windows(200, seed=1)
    sides = {tuple((box[2:] - box[:2]).tolist()) for box in known.boxes}
    for boxes in found.boxes:
        for box in boxes:
            width, height = (box[2:] - box[:2]).tolist()
            assert (width, height) in sides or (height, width) in sides
    assert len({boxes.tobytes() for boxes in found.boxes}) > 150
    assert np.array_equal(found.images, nuclei_windows(200, seed=1).images)
    assert not np.array_equal(found.images, nuclei_windows(200).images)
    assert found.images.shape[2] == 96


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count must be an integer >= 1, got 0"),
        ({"count": 1, "split": "right"}, "split must be one of 'train', 'dev', 'test', got 'right' (str)"),
        ({"count": 1, "split": "dev"}, "size must be an integer in [8, 80], got 96"),
        ({"count": 1, "size": 7}, "size must be an integer in [8, 240], got 7"),
        ({"count": 1, "seed": -1}, "seed must be an integer >= 0, got -1"),
    ],
)
def test_squares_that_cannot_be_cut_are_refused(refuses, settings, message):
    refuses(lambda: nuclei_windows(**settings), (), ValueError, message)
