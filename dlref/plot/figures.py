"""The pictures that several chapters draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from dlref import _check

__all__ = [
    "confusion_matrix",
    "contour_path",
    "decision_boundary",
    "image_grid",
    "layer_histograms",
    "loss_curves",
]

# The middle of viridis: its ends are lost, one on a dark page, the other on a light
# one.
_CONTOURS = LinearSegmentedColormap.from_list(
    "contours", plt.get_cmap("viridis")(np.linspace(0.3, 0.85, 16))
)


def loss_curves(
    history: Mapping[str, Sequence[float]], *, ax: Axes | None = None, log: bool = False
) -> Axes:
    """One line a column of a history, against the epoch.

    Args:
        history: column name to one value an epoch, as :func:`dlref.train.fit` returns.
        ax: where to draw; by default a new figure.
        log: logarithmic vertical axis.

    Raises:
        ValueError: if there is nothing to draw.

    Source:
        This book.

    Example:
        >>> loss_curves({"loss": [1.0, 0.5]}).get_xlabel()
        'epoch'
    """
    if not history or not all(len(values) for values in history.values()):
        raise ValueError(
            f"history must have a column with a value, got {_check.describe(history)}"
        )
    ax = _axes(ax)
    for name, values in history.items():
        ax.plot(range(1, len(values) + 1), values, label=name.replace("_", " "))
    ax.set(xlabel="epoch", yscale="log" if log else "linear")
    ax.legend()
    return ax


def contour_path(
    f: Callable[[np.ndarray, np.ndarray], np.ndarray],
    paths: Mapping[str, Float[np.ndarray, "_ 2"]],
    *,
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    levels: int | Sequence[float] = 20,
    ax: Axes | None = None,
) -> Axes:
    """Contours of a function of two variables, and paths over them.

    Args:
        f: values on a grid, from the two coordinates of its points.
        paths: name to points, one a row; a dot marks the last one.
        xlim: range of the first coordinate.
        ylim: range of the second.
        levels: how many contours, or at which values.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: if a path is not (T, 2) or not finite.

    Source:
        This book.

    Example:
        >>> ax = contour_path(
        ...     lambda x, y: x**2 + y**2,
        ...     {"GD": np.eye(2)},
        ...     xlim=(-1.0, 1.0),
        ...     ylim=(-1.0, 1.0),
        ... )
        >>> len(ax.lines)
        2
    """
    for name, path in paths.items():
        _check.array(f"paths[{name!r}]", path, "T D", D=2)
    ax = _axes(ax)
    x, y = np.meshgrid(np.linspace(*xlim, 100), np.linspace(*ylim, 100))
    ax.contour(x, y, f(x, y), levels=levels, cmap=_CONTOURS, linewidths=0.8, alpha=0.8)
    for i, (name, path) in enumerate(paths.items()):
        ax.plot(
            *path.T, marker=".", markersize=4, linewidth=1.4, color=f"C{i}", label=name
        )
        ax.plot(*path[-1], marker="o", markersize=7, color=f"C{i}")
    ax.set(xlim=xlim, ylim=ylim)
    ax.grid(visible=False)
    return ax


def image_grid(
    images: Num[np.ndarray, "N ..."],
    titles: Sequence[str] = (),
    *,
    columns: int = 8,
    size: float = 0.9,
    cmap: str = "gray",
    symmetric: bool = False,
) -> Figure:
    """Pictures in rows and columns.

    Args:
        images: (N, H, W) in one colour or (N, H, W, 3).
        titles: one a picture, or none.
        columns: pictures a row.
        size: width of a picture in inches.
        cmap: colour map of pictures in one colour.
        symmetric: let the middle of the colour map be zero, and all pictures share one
            scale.

    Raises:
        ValueError: if the shapes are wrong, or there are not as many titles as
            pictures.

    Source:
        This book.

    Example:
        >>> len(image_grid(np.zeros((3, 4, 4)), columns=2).axes)
        4
    """
    if (
        images.ndim not in (3, 4)
        or not images.size
        or (images.ndim == 4 and images.shape[3] != 3)
    ):
        raise ValueError(
            "images must have shape (N, H, W) or (N, H, W, 3), got "
            f"{_check.describe(images)}"
        )
    if titles and len(titles) != len(images):
        raise ValueError(
            f"titles must be as many as images, {len(images)}, got {len(titles)}"
        )
    columns = min(_check.integer("columns", columns, 1), len(images))
    rows = -(-len(images) // columns)
    height = size + 0.22 * bool(titles)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, height * rows),
        squeeze=False,
        layout="none",
    )
    figure.subplots_adjust(
        0, 0, 1, size / height, wspace=0.06, hspace=0.06 + 0.22 * bool(titles) / size
    )
    limit = float(np.abs(images).max())
    scale: dict[str, Any] = {"vmin": -limit, "vmax": limit} if symmetric else {}
    for ax in axes.flat:
        ax.axis("off")
    for ax, image in zip(axes.flat, images, strict=False):
        ax.imshow(image, cmap=cmap, **scale)
    for ax, title in zip(axes.flat, titles, strict=False):
        ax.set_title(title, fontsize=9)
    return figure


def confusion_matrix(
    matrix: Int[np.ndarray, "K K"], classes: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """A confusion matrix, the diagonal left pale so that the mistakes stand out.

    Args:
        matrix: row: the true class, column: the predicted one; counts, as
            scikit-learn's function of this name gives.
        classes: names of the classes.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: if ``matrix`` is not K x K for K classes.

    Source:
        This book.

    Example:
        >>> confusion_matrix(np.array([[3, 1], [0, 4]]), ["cat", "dog"]).get_ylabel()
        'true class'
    """
    if matrix.shape != (len(classes), len(classes)):
        raise ValueError(
            f"matrix must be {len(classes)} x {len(classes)}, got "
            f"{_check.describe(matrix)}"
        )
    if ax is None:
        _, ax = plt.subplots(figsize=(4.8, 4.8))
    mistakes = matrix - np.diag(np.diag(matrix))
    ax.imshow(
        np.ma.masked_equal(mistakes, 0),
        cmap="Oranges",
        vmin=0,
        vmax=max(1, int(mistakes.max())) * 1.6,
    )
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            colour = mpl.rcParams["text.color"] if i == j else "black"
            ax.text(
                j, i, str(count), ha="center", va="center", fontsize=9, color=colour
            )
    positions = range(len(classes))
    ax.set_xticks(positions, classes)
    ax.set_yticks(positions, classes)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.grid(visible=False)
    return ax


def decision_boundary(
    score: Callable[[np.ndarray], np.ndarray],
    X: Float[np.ndarray, "m 2"],
    y: Int[np.ndarray, " m"],
    *,
    threshold: float = 0.5,
    ax: Axes | None = None,
) -> Axes:
    """Points of two classes, and the line where a classifier changes its mind.

    Args:
        score: value of each row of an (n, 2) array, above ``threshold`` for class 1.
        X: points.
        y: their classes, 0 or 1.
        threshold: where the boundary lies.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: if the shapes are wrong or a label is not 0 or 1.

    Source:
        This book.

    Example:
        >>> X = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> len(decision_boundary(lambda x: x.sum(1), X, np.array([0, 1])).lines)
        2
    """
    _check.array("X", X, "m n", n=2)
    labels = _check.binary_labels("y", y, len(X))
    ax = _axes(ax)
    low, high = X.min(0), X.max(0)
    margin = 0.1 * (high - low) + 1e-9
    u, v = np.meshgrid(
        *(
            np.linspace(a, b, 200)
            for a, b in zip(low - margin, high + margin, strict=True)
        )
    )
    values = np.asarray(score(np.column_stack([u.ravel(), v.ravel()]))).reshape(u.shape)
    ax.contourf(
        u,
        v,
        values > threshold,
        levels=[-0.5, 0.5, 1.5],
        colors=["C0", "C1"],
        alpha=0.12,
    )
    ax.contour(u, v, values, levels=[threshold], colors=[mpl.rcParams["text.color"]])
    for label, marker in enumerate("os"):
        ax.plot(
            *X[labels == label].T,
            marker,
            color=f"C{label}",
            markersize=5,
            label=f"class {label}",
        )
    return ax


def layer_histograms(values: Mapping[str, np.ndarray], *, bins: int = 60) -> Figure:
    """The distribution of the values in each layer, side by side on one scale.

    Args:
        values: name of the layer to its values, of any shape.
        bins: bars a histogram.

    Raises:
        ValueError: if there is no layer, or one is empty.

    Source:
        Glorot & Bengio (2010), AISTATS, figure 6, for the idea of looking at them.

    Example:
        >>> len(layer_histograms({"1": np.zeros(3), "2": np.ones(3)}).axes)
        2
    """
    if not values or not all(np.size(layer) for layer in values.values()):
        raise ValueError(
            f"values must hold a layer with values, got {_check.describe(values)}"
        )
    figure, axes = plt.subplots(
        1, len(values), figsize=(1.6 * len(values) + 1, 2.4), sharex=True, squeeze=False
    )
    everything = np.concatenate([np.ravel(layer) for layer in values.values()])
    span = (float(everything.min()), float(everything.max()))
    for ax, (name, layer) in zip(axes.flat, values.items(), strict=True):
        ax.hist(np.ravel(layer), bins=bins, range=span, density=True)
        ax.set(title=name, yticks=[])
    return figure


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax
