"""Mirrors dlref/data/boxes.py."""

import numpy as np
import pytest

from dlref.data import Nuclei, nuclei


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
