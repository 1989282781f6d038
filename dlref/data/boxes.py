"""Pictures of many things, each of them outlined."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlref import _check
from dlref.data._packages import frozen, package, resource
from dlref.data.scenes import Scenes

__all__ = ["Nuclei", "nuclei", "nuclei_windows"]


class Nuclei(NamedTuple):
    """A picture of cell nuclei, and which nucleus each pixel belongs to.

    Attributes:
        image: brightness, float32 in [0, 1].
        mask: 0 where there is no nucleus, else the number of the nucleus, from 1 on.
        boxes: left, top, right and bottom edge of each nucleus in pixels, nucleus 1
            first; the right and the bottom edge lie behind the last pixel.

    Source:
        See :func:`nuclei`.

    Example:
        >>> nuclei().boxes.shape
        (125, 4)
    """

    image: Float[np.ndarray, "H W"]
    mask: Int[np.ndarray, "H W"]
    boxes: Int[np.ndarray, "nucleus 4"]


@cache
def nuclei() -> Nuclei:
    """Nuclei of cells under a fluorescence microscope, outlined by hand; in stardist.

    :What: one photograph; where nuclei touch, each has a number of its own.
    :Size: 512 x 512 pixels, 125 nuclei.
    :Split: none is given; this book trains on the left 240 columns.
    :Shapes: ``image (512, 512)`` float32; ``mask`` as large, ``boxes (125, 4)``, int64.
    :Licence: BSD-3-Clause (stardist).

    Raises:
        ImportError: if stardist or scikit-image is not installed.

    Source:
        Caicedo et al. (2019), Nature Methods 16; the example picture of stardist.

    Example:
        >>> nuclei().mask.max()
        np.int64(125)
    """
    read = package("skimage.io").imread
    image = read(resource("stardist", "data/images/img2d.tif")).astype(np.float32)
    numbers = read(resource("stardist", "data/images/mask2d.tif"))
    _, mask = np.unique(numbers, return_inverse=True)  # 0, 1, 2, ... without a gap
    mask = mask.reshape(numbers.shape)
    edges = []
    for nucleus in range(1, int(mask.max()) + 1):
        rows, columns = np.nonzero(mask == nucleus)
        edges.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return frozen(Nuclei(image / image.max(), mask, np.array(edges)))


STRIPS = {"train": (0, 240), "dev": (240, 320), "test": (320, 512)}  # columns


def nuclei_windows(
    count: int, *, split: str = "train", size: int = 96, seed: int = 0
) -> Scenes:
    """Squares cut out of the photograph of nuclei, turned and mirrored.

    :What: squares at places drawn at random, each in one of its eight orientations.
    :Size: as asked for.
    :Split: columns 0 to 239, 240 to 319 and 320 to 511 of the photograph.
    :Shapes: ``images (count, 1, size, size)``, ``boxes (nuclei, 4)`` float32,
        ``labels (nuclei,)`` int64.
    :Licence: BSD-3-Clause (stardist).

    Brightness lies in [0, 1], and all labels are 0. A nucleus counts if its centre lies
    inside; its box may reach beyond the edge. Those that the border of a strip cuts off
    are left out.

    Args:
        count: how many squares.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        size: pixels of a side, at most those of the strip (80 for ``"dev"``).
        seed: another number gives other squares.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if there is no such split, or a number is out of range.
        ImportError: see :func:`nuclei`.

    Source:
        As of the photograph: Caicedo et al. (2019), Nature Methods 16.

    Example:
        >>> nuclei_windows(5).images.shape
        (5, 1, 96, 96)
    """
    count = _check.integer("count", count, 1)
    first, last = STRIPS[_check.one_of("split", split, tuple(STRIPS))]
    size = _check.integer("size", size, 8, last - first)
    rng = np.random.default_rng([_check.integer("seed", seed, 0), first])
    known = nuclei()
    whole = (known.boxes[:, 0] >= first) & (known.boxes[:, 2] <= last)
    edges = known.boxes[whole].astype(np.float32)
    images = np.empty((count, 1, size, size), np.float32)
    boxes, labels = [], []
    for image in images[:, 0]:
        left = int(rng.integers(first, last - size + 1))
        top = int(rng.integers(known.image.shape[0] - size + 1))
        moved = edges - np.array([left, top, left, top], np.float32)
        inside = (moved[:, :2] + moved[:, 2:]) / 2
        moved = moved[((inside > 0) & (inside < size)).all(1)]
        square = known.image[top : top + size, left : left + size]
        if rng.integers(2):  # left and right
            square, moved = square[:, ::-1], moved[:, [2, 1, 0, 3]]
            moved[:, [0, 2]] = size - moved[:, [0, 2]]
        if rng.integers(2):  # top and bottom
            square, moved = square[::-1], moved[:, [0, 3, 2, 1]]
            moved[:, [1, 3]] = size - moved[:, [1, 3]]
        if rng.integers(2):  # rows and columns
            square, moved = square.T, moved[:, [1, 0, 3, 2]]
        image[:] = square
        boxes.append(moved)
        labels.append(np.zeros(len(moved), np.int64))
    for array in (*boxes, *labels):
        array.setflags(write=False)
    return frozen(Scenes(images, tuple(boxes), tuple(labels)))
