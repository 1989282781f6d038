"""Portraits moved and lit anew, so that they do not lie on top of each other."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlref import _check
from dlref.data._packages import frozen, package
from dlref.data.faces import faces

__all__ = ["JitteredFaces", "jittered_faces"]

PEOPLE, PORTRAITS = 40, 10
WHOLE, SIZE = (56, 46), (48, 40)  # the larger is cut to the smaller after the moving
TURN, ZOOM, SHIFT, LIGHT = 15.0, 0.15, 3.0, 0.5


class JitteredFaces(NamedTuple):
    """Portraits and whom they show.

    Attributes:
        images: grey, about 0 to 1; light may lead out of it.
        person: 0 to 39.

    Source:
        See :func:`jittered_faces`.

    Example:
        >>> jittered_faces(people=[3, 8]).person[[0, -1]]
        array([3, 8])
    """

    images: Float[np.ndarray, "N 1 48 40"]
    person: Int[np.ndarray, " N"]


def jittered_faces(
    copies: int = 1, *, people: Sequence[int] | None = None, seed: int = 0
) -> JitteredFaces:
    """Portraits of :func:`faces`, each turned, zoomed, moved, mirrored and lit anew.

    :What: portraits turned, zoomed and moved, half of them mirrored, lit from a side.
    :Size: ten portraits a person, times the copies; 48 x 40 pixels.
    :Split: by people, as asked for; this book tests on people it has not trained on.
    :Shapes: ``images (N, 1, 48, 40)`` float32; ``person (N,)``.
    :Licence: see the portraits.

    They are turned by up to 15 degrees, up to 16% larger or smaller, and moved by up to
    3 pixels. Aligned as the portraits are, their bare pixels tell people apart well,
    and there is little left to learn.

    Args:
        copies: how many of each portrait.
        people: their numbers, 0 to 39; all by default. A person's pictures do not
            depend on who else is asked for.
        seed: another number gives other copies.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if one is out of range, or nobody is asked for.
        ImportError: see :func:`faces`.

    Source:
        Samaria & Harter (1994), IEEE Workshop on Applications of Computer Vision; the
        changes are this book's.

    Example:
        >>> jittered_faces(2, people=range(5)).images.shape
        (100, 1, 48, 40)
    """
    copies = _check.integer("copies", copies, 1)
    seed = _check.integer("seed", seed, 0)
    asked = range(PEOPLE) if people is None else people
    chosen = [_check.integer("people", who, 0, PEOPLE - 1) for who in asked]
    if not chosen:
        raise ValueError("people must name somebody, got nobody")
    images = np.concatenate([_of_person(who, copies, seed) for who in chosen])
    person = np.repeat(chosen, PORTRAITS * copies)
    return frozen(JitteredFaces(images[:, None], person))


@cache
def _of_person(who: int, copies: int, seed: int) -> np.ndarray:
    """Copy after copy of each portrait in turn."""
    known = faces(size=WHOLE)
    rng = np.random.default_rng([seed, who])
    made = [
        _jittered(image, rng)
        for _ in range(copies)
        for image in known.images[known.person == who]
    ]
    return np.stack(made)


def _jittered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One portrait in another place, and in another light."""
    turn = np.deg2rad(rng.uniform(-TURN, TURN))
    zoom = np.exp(rng.uniform(-ZOOM, ZOOM))
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    mirror = rng.choice((1.0, -1.0))
    rotation = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    # from row and column of the result to those of the portrait
    matrix = np.array(rotation) * np.array([1.0, mirror]) / zoom
    middle, middle_of_whole = ((np.array(side) - 1) / 2 for side in (SIZE, WHOLE))
    moved = package("scipy.ndimage").affine_transform(
        image,
        matrix,
        middle_of_whole + shift - matrix @ middle,
        output_shape=SIZE,
        order=1,
        mode="nearest",
    )
    direction = rng.uniform(0, 2 * np.pi)
    down, across = np.ogrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    slope = np.cos(direction) * across + np.sin(direction) * down
    return (moved * (1 + rng.uniform(0, LIGHT) * slope)).astype(np.float32)
