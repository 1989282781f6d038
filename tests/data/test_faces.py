"""Mirrors dlref/data/faces.py."""

import numpy as np
import pytest

from dlref.data import Faces, faces


def test_ten_portraits_of_forty_people():
    found = faces()
    assert isinstance(found, Faces)
    assert found.images.shape == (400, 112, 92)
    assert found.images.dtype == np.float32
    assert 0 <= found.images.min() < 0.1
    assert 0.9 < found.images.max() <= 1
    assert np.bincount(found.person).tolist() == [10] * 40
    assert found.portrait.tolist() == list(range(10)) * 40


def test_portraits_of_one_person_are_more_alike_than_those_of_two():
    found = faces()
    flat = found.images.reshape(400, -1)
    centres = np.stack([flat[found.person == k].mean(0) for k in range(40)])
    distance = np.linalg.norm(flat[:, None, ::8] - centres[None, :, ::8], axis=2)
    assert (distance.argmin(1) == found.person).mean() > 0.9


def test_glasses_were_noted_by_eye():
    found = faces()
    assert found.glasses.sum() == 119
    by_person = found.glasses.reshape(40, 10)
    assert np.flatnonzero(by_person.all(1)).tolist() == [1, 5, 13, 26, 27, 30, 33, 36]
    assert by_person.any(1).sum() == 15
    assert np.flatnonzero(by_person[35]).tolist() == [8, 9]


def test_smaller_pictures_are_means_of_the_large_ones():
    small = faces(size=(28, 23))
    assert small.images.shape == (400, 28, 23)
    assert small.images.dtype == np.float32
    blocks = faces().images.reshape(400, 28, 4, 23, 4).mean((2, 4))
    assert abs(small.images - blocks).mean() < 0.02
    assert (small.person == faces().person).all()


def test_they_are_read_once_and_cannot_be_changed():
    assert faces() is faces(size=(112, 92))
    for array in faces(size=(28, 23)):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (28, TypeError, "size must be a pair"),
        ((28, 23, 1), TypeError, "size must be a pair"),
        ((0, 23), ValueError, "size must be"),
        ((28, 93), ValueError, "size must be"),
        ((28.0, 23), TypeError, "size must be"),
    ],
)
def test_other_sizes_are_refused(size, error, message):
    with pytest.raises(error, match=message):
        faces(size=size)
