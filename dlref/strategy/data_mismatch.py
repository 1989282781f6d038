"""Training data from one place, use in another.

Shape legend: m, k examples, n noises, ... the axes of an example.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from dlref import _check
from dlref.data._packages import package
from dlref.generalization.data_splits import k_fold
from dlref.strategy.goals_and_metrics.areas import roc_auc_score

__all__ = ["SourceSplit", "Sources", "mix_noise", "split_sources", "tell_apart"]


class Sources(NamedTuple):
    """Which examples of each of two sources.

    Attributes:
        other: numbers of the examples of the plentiful source.
        own: numbers of the examples like those in use.

    Source:
        See :func:`split_sources`.

    Example:
        >>> Sources(np.arange(3), np.arange(0)).own.size
        0
    """

    other: Int[np.ndarray, " m"]
    own: Int[np.ndarray, " k"]


class SourceSplit(NamedTuple):
    """The parts of a split of two sources.

    Attributes:
        train: to train on.
        train_dev: like the training set, and not trained on.
        dev, test: to choose by and to report from.

    Source:
        See :func:`split_sources`.

    Example:
        >>> nothing = Sources(np.arange(0), np.arange(0))
        >>> SourceSplit(nothing, nothing, nothing, nothing)._fields
        ('train', 'train_dev', 'dev', 'test')
    """

    train: Sources
    train_dev: Sources
    dev: Sources
    test: Sources


def split_sources(
    other: int,
    own: int,
    *,
    dev: int,
    test: int,
    train_dev: int = 0,
    shuffled: bool = False,
    seed: int = 0,
) -> SourceSplit:
    """Split two sources of data, of which only one is like what the model will meet.

    By default dev and test set are drawn from one's own examples alone, and what is
    left of them goes into training, together with all of the other source. Shuffled,
    every part is drawn from both, as they come.

    Args:
        other: number of examples of the plentiful source.
        own: number of examples like those in use.
        dev, test: examples in each of these parts.
        train_dev: examples that are held back from the training set after it has been
            put together.
        shuffled: put all examples together first.
        seed: of the draw.

    Raises:
        TypeError, ValueError: if a number is out of its range, dev and test need more
            than one's own examples, or the parts leave nothing to train on.

    Source:
        Ng (2018), Machine Learning Yearning, chapters 36 to 40.

    Example:
        >>> parts = split_sources(1000, 100, dev=30, test=30, train_dev=50)
        >>> [(len(part.other), len(part.own)) for part in (parts.dev, parts.test)]
        [(0, 30), (0, 30)]
        >>> len(parts.train.other) + len(parts.train.own)
        990
    """
    other = _check.integer("other", other, 0)
    own = _check.integer("own", own, 1)
    sizes = {
        "dev": _check.integer("dev", dev, 0),
        "test": _check.integer("test", test, 0),
        "train_dev": _check.integer("train_dev", train_dev, 0),
    }
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    held_out = sizes["dev"] + sizes["test"]
    if not shuffled and held_out > own:
        raise ValueError(
            f"dev and test must have at most own={own} examples, got {held_out}"
        )
    if held_out + sizes["train_dev"] >= other + own:
        raise ValueError(
            f"dev, test and train_dev must leave some of {other + own} examples to "
            f"train on, got {held_out + sizes['train_dev']}"
        )
    # one's own examples are numbered from ``other`` on
    order = rng.permutation(other + own)
    first = order if shuffled else order[order >= other]
    chosen = first[:held_out]
    rest = order[~np.isin(order, chosen)]
    ends = np.cumsum([sizes["train_dev"], len(rest) - sizes["train_dev"]])
    parts = [
        rest[ends[0] : ends[1]],
        rest[: ends[0]],
        chosen[: sizes["dev"]],
        chosen[sizes["dev"] :],
    ]
    return SourceSplit(*(Sources(p[p < other], p[p >= other] - other) for p in parts))


def tell_apart(
    a: Float[np.ndarray, "m ..."],
    b: Float[np.ndarray, "k ..."],
    *,
    n_splits: int = 5,
    seed: int = 0,
) -> float:
    r"""How well a linear classifier tells two sets of examples apart.

    It is trained to say from which set an example is, and judged on examples that it
    has not seen, by the area under the ROC curve: about 1/2 if the sets cannot be
    told apart by it (a little less occurs by chance), 1 if always. A linear classifier
    may miss what another would find.

    Args:
        a, b: (m, ...) and (k, ...) examples, of one shape.
        n_splits: folds of the cross-validation.
        seed: of the folds.

    Raises:
        TypeError, ValueError: if the arrays are not of one shape but for the first
            axis, hold fewer than ``n_splits`` examples, or a value is not finite.
        ImportError: if scikit-learn is not installed.

    Source:
        Lopez-Paz & Oquab (2017), arXiv:1610.06545, for classifiers as tests of whether
        two samples differ.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> tell_apart(rng.normal(size=(50, 3)), rng.normal(size=(50, 3)) + 9)
        1.0
    """
    n_splits = _check.integer("n_splits", n_splits, 2)
    for name, value in (("a", a), ("b", b)):
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            got = _check.describe(value)
            raise TypeError(f"{name} must be an array of floats, got {got}")
        fits = value.ndim > 1 and value.size > 0 and value.shape[1:] == a.shape[1:]
        if not fits or len(value) < n_splits:
            raise ValueError(
                f"{name} must hold at least {n_splits} examples of the shape "
                f"{a.shape[1:]}, got {_check.describe(value)}"
            )
        if not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite, got NaN or infinite values")
    x = np.concatenate([part.reshape(len(part), -1) for part in (a, b)]).astype(float)
    most = np.abs(x).max(0)
    x = x / np.where(most > 0, most, 1)  # or squares of huge values overflow
    labels = np.repeat([0, 1], [len(a), len(b)])
    model = package("sklearn.linear_model").LogisticRegression(max_iter=2000)
    score = np.empty(len(x))
    for train, test in k_fold(len(x), n_splits, labels=labels, shuffle=True, seed=seed):
        mean, spread = x[train].mean(0), x[train].std(0)
        scaled = (x - mean) / np.where(spread > 0, spread, 1)
        score[test] = model.fit(scaled[train], labels[train]).decision_function(
            scaled[test]
        )
    return roc_auc_score(labels, score)


def mix_noise(
    x: Float[np.ndarray, "m ..."],
    noises: Float[np.ndarray, "n ..."],
    *,
    scale: float = 1.0,
    seed: int = 0,
) -> Float[np.ndarray, "m ..."]:
    """Add to each example one of some noises, drawn at random.

    Args:
        x: (m, ...) clean examples.
        noises: (n, ...) noises of the shape of an example.
        scale: factor on the noise.
        seed: of the draw.

    Raises:
        TypeError, ValueError: if the arrays are not floats, are empty, or their
            examples differ in shape. Values are not looked at; NaN stays NaN.

    Source:
        This book; for speech, Hannun et al. (2014), arXiv:1412.5567, section 4.

    Example:
        >>> mix_noise(np.zeros((2, 3)), np.ones((1, 3)), scale=0.5).tolist()
        [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """
    scale = _check.real("scale", scale)
    rng = np.random.default_rng(_check.integer("seed", seed, 0))
    for name, value in (("x", x), ("noises", noises)):
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            got = _check.describe(value)
            raise TypeError(f"{name} must be an array of floats, got {got}")
        if value.ndim < 2 or len(value) == 0 or value.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"{name} must hold at least one example of the shape {x.shape[1:]}, "
                f"got {_check.describe(value)}"
            )
    return (
        x + np.asarray(scale, x.dtype) * noises[rng.integers(len(noises), size=len(x))]
    )
