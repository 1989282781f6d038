"""What the page on faces shows and says of the record."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.face_embeddings.run import ARMS, FOLDS, RATES, STEPS, TESTED
from dlref.train import Repeated

SHOWN = ("pixels", "eigenfaces", *ARMS)


def rows_of(numbers: Mapping[str, Any], arm: str) -> list[dict[str, Any]]:
    """The runs of an arm, fold by fold."""
    return sorted((row for row in numbers["runs"] if row["arm"] == arm), key=lambda row: row["fold"])


def of(numbers: Mapping[str, Any], arm: str, measure: str) -> Repeated:
    """A measure of an arm in each fold; of one-shot accuracy the mean over the fold's people."""
    rows = rows_of(numbers, arm)
    return Repeated(np.array([np.mean(row[measure]) for row in rows]), tuple(row["fold"] for row in rows))


def people(numbers: Mapping[str, Any], arm: str) -> np.ndarray:
    """One-shot accuracy of each of the forty people."""
    return np.concatenate([row["one-shot"] for row in rows_of(numbers, arm)])


def over_people(numbers: Mapping[str, Any], first: str, second: str, seed: int = 0) -> tuple[float, float, float]:
    """How much better one arm recognises than another: the mean over people, and a 95% interval.

    Groups are drawn anew, and people within them: those of a group share a network, and are each other's strangers.
    """
    gain = (people(numbers, first) - people(numbers, second)).reshape(len(FOLDS), TESTED)
    rng = np.random.default_rng(seed)
    groups = rng.integers(len(FOLDS), size=(4000, len(FOLDS), 1))
    drawn = gain[groups, rng.integers(TESTED, size=(4000, len(FOLDS), TESTED))].mean((1, 2))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(gain.mean()), float(low), float(high)


def spread(numbers: Mapping[str, Any], arm: str) -> float:
    """The mean distance of two pictures, over the folds."""
    return float(np.mean([row["spread"] for row in rows_of(numbers, arm)]))


def of_others(numbers: Mapping[str, Any], arm: str) -> list[float]:
    """The rate of false accepts in each fold, at the threshold that has 1% on other people."""
    return [row["FAR of the threshold of others"] for row in rows_of(numbers, arm)]


def at_the_end(numbers: Mapping[str, Any]) -> int:
    """How many of the chosen rates are the least or the largest that was tried."""
    return sum(row["rate"] in (min(RATES), max(RATES)) for row in numbers["runs"] if "rate" in row)


def between_rates(numbers: Mapping[str, Any], arm: str) -> float:
    """How far the mean areas on the people that choose lie apart, from the worst of the rates to the best."""
    means = [
        np.mean([row["dev area"] for row in numbers["rates"] if (row["arm"], row["rate"]) == (arm, rate)])
        for rate in RATES
    ]
    return float(max(means) - min(means))


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; all arms are tested on the same people."""
    assert max(map(partial(between_rates, numbers), ARMS)) < 0.03  # check: face-rates
    assert min(over_people(numbers, arm, "pixels")[1] for arm in ARMS) > 0.05  # check: learned-beats-pixels
    _, low, high = over_people(numbers, "all", "classifier")
    assert low < 0 < high  # check: classifier-alike
    assert (
        min(over_people(numbers, "all", arm)[1] for arm in ("pairs", "similarity head")) > 0.05
    )  # check: pairs-behind
    crowded = [spread(numbers, arm) for arm in ("hard", "batch_hard", "batch_hard, no margin")]
    assert max(crowded) < 0.15 < 0.9 < spread(numbers, "all")  # check: crowded
    assert over_people(numbers, "hard", "all")[1] > -0.1  # check: order-kept
    assert over_people(numbers, "batch_hard", "pixels")[1] > 0.2  # check: order-kept-too
    _, low, high = over_people(numbers, "batch_hard, no margin", "batch_hard")
    assert low < 0 < high < 0.06  # check: margin-no-gain
    assert min(of_others(numbers, "all")) < 0.005 < 0.03 < max(of_others(numbers, "all"))  # check: threshold-moves


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    short = {
        "pixels": "pixels", "eigenfaces": "eigenfaces", "classifier": "classifier", "similarity head": "head",
        "pairs": "pairs", "all": "all", "hard": "hard", "batch_hard": "batch-hard",
    }  # fmt: skip
    found = {"steps": f"{STEPS}", "chosen": f"{len(ARMS) * len(FOLDS)}", "at-the-end": f"{at_the_end(numbers)}"}
    found |= {f"{name}-shot": f"{100 * people(numbers, arm).mean():.0f}" for arm, name in short.items()}
    found |= {f"{name}-spread": f"{spread(numbers, arm):.2f}" for arm, name in list(short.items())[-3:]}
    gain, low, high = (100 * value for value in over_people(numbers, "all", "classifier"))
    found["gain"], found["gain-low"], found["gain-high"] = f"{gain:.0f}", f"{low:.0f}", f"{high:.0f}"
    rates = [100 * rate for rate in of_others(numbers, "all")]
    found["far-low"], found["far-high"] = f"{min(rates):.1f}", f"{max(rates):.1f}"
    return found


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """Three measures of each arm."""
    figure, axes = plt.subplots(1, 3, figsize=(9.0, 3.2), sharey=True)
    titles = {"test area": "area under the ROC curve", "TAR": "TAR at 1% FAR (%)", "one-shot": "one-shot, 1 of 8 (%)"}
    for ax, (measure, title) in zip(axes, titles.items(), strict=True):
        scale = 1 if measure == "test area" else 100
        for place, arm in enumerate(SHOWN):
            found = of(numbers, arm, measure)
            colour = "C5" if place < 2 else "C0"
            ax.errorbar(scale * found.mean, place, xerr=scale * found.spread, fmt="o", color=colour, capsize=2)
        ax.set(xlabel=title)
    names = [arm.replace("batch_hard", "batch-hard").replace("semihard", "semi-hard") for arm in SHOWN]
    axes[0].set_yticks(range(len(SHOWN)), names)
    axes[0].invert_yaxis()
    return {"arms": figure}
