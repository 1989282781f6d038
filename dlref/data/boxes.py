"""Pictures of many things, each of them outlined."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlref.data._packages import frozen, package, resource

__all__ = ["Nuclei", "nuclei"]


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
    :Split: none is given; this book trains on the left 320 columns.
    :Shapes: ``image (512, 512)`` float32; ``mask`` as large, ``boxes (125, 4)``, int64.
    :Licence: BSD-3-Clause (stardist).

    Raises:
        ImportError: if stardist or scikit-image is not installed.

    Source:
        Schmidt, Weigert, Broaddus & Myers (2018), arXiv:1806.03535; the package's
        example picture.

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
