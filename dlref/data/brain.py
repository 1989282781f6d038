"""Slices of a brain, in which each pixel has a class."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlref import _check
from dlref.data._packages import frozen, package, resource

__all__ = ["BrainSlices", "brain_slices", "brain_windows"]

# slices by height; five between the splits belong to none, since neighbours look alike
SLICES = {
    "train": (*range(40, 65), *range(111, 136)),
    "dev": tuple(range(70, 80)),
    "test": tuple(range(85, 106)),
}
ROWS, COLUMNS = slice(9, 217), slice(10, 186)  # 208 x 176, the head, in multiples of 16
KNOTS, GAIN, NOISE = 4, 0.25, 0.06


class BrainSlices(NamedTuple):
    """Pictures, and the class of each of their pixels.

    Attributes:
        images: brightness, 0 to 1; gain and noise lead out of it.
        masks: 0 neither, 1 grey matter, 2 white matter.

    Source:
        See :func:`brain_slices`.

    Example:
        >>> brain_slices(split="dev").masks.shape
        (10, 208, 176)
    """

    images: Float[np.ndarray, "N 1 H W"]
    masks: Int[np.ndarray, "N H W"]


def brain_slices(
    *, split: str = "train", degraded: bool = True, seed: int = 0
) -> BrainSlices:
    """Slices through a mean brain: brightness, grey and white matter; in nilearn.

    :What: horizontal slices of 1 mm of a mean of 152 heads, unevenly bright and noisy.
    :Size: 50, 10 and 21 slices of 208 x 176 pixels.
    :Split: by height in the head; five slices between the splits belong to none.
    :Shapes: ``images (N, 1, 208, 176)`` float32; ``masks (N, 208, 176)`` int64.
    :Licence: BSD-3-Clause (nilearn), which says that the template's own is not known.

    They are made darker and brighter from place to place, so that the brightness alone
    does not say what a pixel is. It is grey or white matter where a map says so of more
    than a half of the heads.

    It is one brain, a mean, and its own mirror image: nothing learned here holds for
    people, let alone ill ones.

    Args:
        split: ``"train"``, ``"dev"`` or ``"test"``.
        degraded: whether brightness is multiplied by a smooth random gain, and noise
            added; without it thresholds are enough.
        seed: another number gives another gain and noise.

    Raises:
        TypeError: if ``seed`` is no integer.
        ValueError: if there is no such split, or ``seed`` is below 0.
        ImportError: if nilearn, nibabel or scikit-image is not installed.

    Source:
        Fonov et al. (2011), NeuroImage 54: the ICBM 152 template of 2009, as nilearn
        0.14 holds it.

    Example:
        >>> brain_slices().images.shape
        (50, 1, 208, 176)
    """
    known = _slices(_check.one_of("split", split, tuple(SLICES)))
    seed = _check.integer("seed", seed, 0)
    if not degraded:
        return known
    rng = np.random.default_rng([seed, SLICES[split][0]])
    images = np.stack([_degraded(image[0], rng)[None] for image in known.images])
    return frozen(BrainSlices(images, known.masks))


def brain_windows(
    count: int, *, split: str = "train", size: int = 96, seed: int = 0
) -> BrainSlices:
    """Squares cut out of the slices of a brain, each with a gain and noise of its own.

    :What: squares at places drawn at random, half of them mirrored left to right.
    :Size: as asked for.
    :Split: that of the slices they are cut from.
    :Shapes: ``images (count, 1, size, size)`` float32; ``masks (count, size, size)``
        int64.
    :Licence: BSD-3-Clause (nilearn), which says that the template's own is not known.

    Args:
        count: how many squares.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        size: pixels of a side, at most 176.
        seed: another number gives other squares.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if there is no such split, or a number is out of range.
        ImportError: see :func:`brain_slices`.

    Source:
        See :func:`brain_slices`.

    Example:
        >>> brain_windows(4).images.shape
        (4, 1, 96, 96)
    """
    count = _check.integer("count", count, 1)
    known = _slices(_check.one_of("split", split, tuple(SLICES)))
    height, width = known.masks.shape[1:]
    size = _check.integer("size", size, 1, min(height, width))
    first = SLICES[split][0]
    rng = np.random.default_rng([_check.integer("seed", seed, 0), first, size])
    images = np.empty((count, 1, size, size), np.float32)
    masks = np.empty((count, size, size), np.int64)
    for image, mask in zip(images[:, 0], masks, strict=True):
        number = rng.integers(len(known.images))
        top = rng.integers(height - size + 1)
        left = rng.integers(width - size + 1)
        part = slice(top, top + size), slice(left, left + size)
        step = rng.choice((1, -1))
        image[:] = _degraded(known.images[number, 0], rng)[part][:, ::step]
        mask[:] = known.masks[number][part][:, ::step]
    return frozen(BrainSlices(images, masks))


@cache
def _slices(split: str) -> BrainSlices:
    brightness, grey, white = (_volume(name) for name in ("t1", "gm", "wm"))
    heights = list(SLICES[split])
    images, *maps = (
        volume[:, :, heights].transpose(2, 1, 0)[:, ::-1][:, ROWS, COLUMNS]
        for volume in (brightness, grey, white)
    )
    masks = np.where(np.maximum(*maps) > 127, 1 + (maps[1] > maps[0]), 0)
    pictures = (images[:, None] / 255).astype(np.float32)
    return frozen(BrainSlices(pictures, masks.astype(np.int64)))


@cache
def _volume(name: str) -> np.ndarray:
    """Left to right, back to front, bottom to top, 0 to 255."""
    file = f"datasets/data/mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    found = package("nibabel").load(resource("nilearn", file))
    return np.asarray(found.dataobj)


def _degraded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Multiply by a smooth gain and add noise."""
    knots = rng.normal(0, GAIN, (KNOTS, KNOTS))
    gain = np.exp(package("skimage.transform").resize(knots, image.shape, order=3))
    return (image * gain + rng.normal(0, NOISE, image.shape)).astype(np.float32)
