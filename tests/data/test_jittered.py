"""Mirrors dlref/data/jittered.py."""

import numpy as np
import pytest

from dlref.data import JitteredFaces, faces, jittered_faces
from dlref.data.jittered import _jittered


def test_ten_portraits_a_person_and_copy():
    found = jittered_faces(3, people=[5, 2])
    assert isinstance(found, JitteredFaces)
    assert found.images.shape == (60, 1, 48, 40)
    assert found.images.dtype == np.float32
    assert found.person.tolist() == [5] * 30 + [2] * 30
    assert -0.01 < found.images.min() < 0.2
    assert 0.7 < found.images.max() < 1.5
    assert jittered_faces(1).person.tolist() == np.repeat(range(40), 10).tolist()


def test_a_person_does_not_depend_on_the_others():
    both = jittered_faces(2, people=[1, 7]).images
    assert np.array_equal(jittered_faces(2, people=[7]).images, both[20:])
    other = jittered_faces(2, people=[7], seed=1).images
    assert not np.array_equal(other, both[20:])
    assert not np.array_equal(both[20:30], both[30:])  # each copy is another


def test_portraits_do_not_lie_on_top_of_each_other():
    """The bare pixels tell people apart less well than those of the aligned portraits."""

    def nearest(images):
        flat = images.reshape(len(images), -1)
        distance = np.linalg.norm(flat[:, None] - flat[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        return (person[distance.argmin(1)] == person).mean()

    person = jittered_faces(people=range(12)).person
    aligned = faces(size=(48, 40)).images[:120]
    assert nearest(aligned) > 0.9 > 0.8 > nearest(jittered_faces(people=range(12)).images)


class Still:
    """A generator that changes nothing but what is asked for."""

    def __init__(self, turn=0.0, zoom=0.0, shift=(0.0, 0.0), mirror=1.0, direction=0.0, light=0.0):
        self.numbers = [turn, zoom, np.array(shift), direction, light]
        self.mirror = mirror

    def uniform(self, *_):
        return self.numbers.pop(0)

    def choice(self, _):
        return self.mirror


@pytest.mark.usefixtures("unchecked")
def test_each_change_by_itself():
    image = np.random.default_rng(0).random((56, 46))
    plain = _jittered(image, Still())
    np.testing.assert_allclose(plain, image[4:52, 3:43], rtol=1e-6)
    np.testing.assert_allclose(_jittered(image, Still(mirror=-1.0)), plain[:, ::-1], rtol=1e-5)
    np.testing.assert_allclose(_jittered(image, Still(shift=(2.0, -3.0))), image[6:54, 0:40], rtol=1e-5)
    np.testing.assert_allclose(_jittered(image, Still(turn=180.0)), plain[::-1, ::-1], rtol=1e-5)
    lit = _jittered(image, Still(light=0.5)) / plain  # towards the right
    np.testing.assert_allclose(lit[:, 0], 0.5, rtol=1e-5)
    np.testing.assert_allclose(lit[:, -1], 1.5, rtol=1e-5)
    below = _jittered(image, Still(direction=np.pi / 2, light=0.5)) / plain
    np.testing.assert_allclose(below[-1], 1.5, rtol=1e-5)
    ramp = np.tile(np.arange(46.0), (56, 1))
    zoomed = _jittered(ramp, Still(zoom=np.log(2)))
    np.testing.assert_allclose(np.diff(zoomed, axis=1), 0.5, rtol=1e-4)  # twice as large
    np.testing.assert_allclose(zoomed.mean(), 22.5, rtol=1e-5)


def test_they_cannot_be_changed():
    for array in jittered_faces(people=[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"copies": 0}, ValueError, "copies must be an integer >= 1, got 0"),
        ({"people": [40]}, ValueError, "people must be an integer in [0, 39], got 40"),
        ({"people": [-1]}, ValueError, "people must be an integer in [0, 39], got -1"),
        ({"people": []}, ValueError, "people must name somebody, got nobody"),
        ({"seed": -1}, ValueError, "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    with pytest.raises(error) as caught:
        jittered_faces(**arguments)
    assert str(caught.value).startswith(message)
