"""What the page on localisation shows and says of the record."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.localizer.run import EDGES, SIZE, ZOOMS
from dlref.train import Comparison, Repeated, compare

WEIGHTS = ("box x 1", "box x 10", "box x 100")
FREE, EASY, EASY_FREE = "box x 10, no mask", "box x 10, easy", "box x 10, easy, no mask"
MEASURES = {"overlap": "mean IoU", "class error": "class wrong (%)", "right": "wholly right (%)"}


def of(numbers: Mapping[str, Any], arm: str, measure: str) -> Repeated:
    """A measure of an arm's networks on the test set."""
    rows = [row for row in numbers["runs"] if row["arm"] == arm]
    return Repeated(np.array([row[measure] for row in rows]), tuple(row["seed"] for row in rows))


def slid(numbers: Mapping[str, Any], arm: str) -> list[Mapping[str, Any]]:
    """What an arm's networks found in large scenes."""
    return [row["slid"] for row in numbers["runs"] if row["arm"] == arm]


def gain(numbers: Mapping[str, Any], better: str, worse: str, measure: str, confidence: float) -> Comparison:
    """How much larger a measure is for one arm than for another, by seeds."""
    return compare(of(numbers, better, measure), of(numbers, worse, measure), confidence=confidence)


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; all arms have the same seeds."""
    for arm in (*WEIGHTS, FREE, EASY, EASY_FREE):
        tried = {row["rate"] for row in numbers["rates"] if row["arm"] == arm}
        (chosen,) = {row["rate"] for row in numbers["runs"] if row["arm"] == arm}
        assert min(tried) < chosen < max(tried)  # check: localiser-rates-between
    light, heavy = WEIGHTS[0], WEIGHTS[2]
    assert gain(numbers, heavy, light, "overlap", 1 - 0.05 / 3).low > 0  # check: weight-places
    assert gain(numbers, heavy, light, "class error", 1 - 0.05 / 3).low > 0.1  # check: weight-misnames
    assert gain(numbers, light, heavy, "right", 1 - 0.05 / 3).low > 0  # check: weight-fewer-right
    for measure in MEASURES:
        gap = gain(numbers, EASY, EASY_FREE, measure, 1 - 0.05 / 3)
        assert gap.low < 0 < gap.high  # check: mask-no-difference
    assert gain(numbers, WEIGHTS[1], FREE, "overlap", 1 - 0.05 / 3).low > 0.05  # check: mask-matters
    assert gain(numbers, WEIGHTS[1], FREE, "right", 1 - 0.05 / 3).low > 0
    for easy, hard in zip(slid(numbers, EASY), slid(numbers, WEIGHTS[1]), strict=True):
        for one, other in zip(easy["sizes"], hard["sizes"], strict=True):
            assert 2 * other["wrong"] < one["wrong"]  # check: cut-fewer-wrong
        for row in (easy, hard):
            found = np.array([size["found"] for size in row["sizes"]])
            best = found.argmax(0)
            assert best[0] == 0
            assert (best[2:4] == 1).all()
            assert best[-1] == 2  # check: sizes-share
            missed = sum(row["digits"]) - np.append(found.sum(1), sum(row["found by any"]))
            assert 2 * missed[3] < missed[:3].min()  # check: three-sizes


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    easy, hard = slid(numbers, EASY), slid(numbers, WEIGHTS[1])
    told = {"light": WEIGHTS[0], "heavy": WEIGHTS[2], "mask": WEIGHTS[1], "free": FREE}
    return {
        "wrong-easy": f"{np.mean([row['sizes'][1]['wrong'] for row in easy]) / sum(easy[0]['digits']):.0f}",
        "wrong-hard": f"{np.mean([row['sizes'][1]['wrong'] for row in hard]) / sum(hard[0]['digits']):.0f}",
        "one-size": f"{100 * np.mean([sum(row['sizes'][1]['found']) / sum(row['digits']) for row in hard]):.0f}",
        "any-size": f"{100 * np.mean([sum(row['found by any']) / sum(row['digits']) for row in hard]):.0f}",
        **{f"overlap-{name}": f"{of(numbers, arm, 'overlap').mean:.2f}" for name, arm in told.items()},
        **{f"misnamed-{name}": f"{100 * of(numbers, arm, 'class error').mean:.0f}" for name, arm in told.items()},
        "right-light": f"{100 * of(numbers, WEIGHTS[0], 'right').mean:.0f}",
        "right-heavy": f"{100 * of(numbers, WEIGHTS[2], 'right').mean:.0f}",
        "any-easy": f"{100 * np.mean([sum(row['found by any']) / sum(row['digits']) for row in easy]):.0f}",
        "wrong-all": f"{np.mean([sum(k['wrong'] for k in row['sizes']) / sum(row['digits']) for row in hard]):.0f}",
    }


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """The weight of the box, and what windows of three sizes find."""
    arms = (*WEIGHTS, FREE, EASY, EASY_FREE)
    names = ("1", "10", "100", "10,\nno mask", "10,\neasy", "10, easy,\nno mask")
    colours = ("C0", "C0", "C0", "C1", "C2", "C1")
    weights, axes = plt.subplots(1, 3, figsize=(9.6, 2.8))
    for ax, (measure, title) in zip(axes, MEASURES.items(), strict=True):
        factor = 1 if measure == "overlap" else 100
        found = [of(numbers, arm, measure) for arm in arms]
        heights, bars = [factor * f.mean for f in found], [factor * f.spread for f in found]
        ax.bar(range(len(arms)), heights, yerr=bars, color=colours, ecolor="C5", capsize=3)
        ax.set_xticks(range(len(arms)), names, fontsize=7)
        ax.set(title=title, xlabel="weight of the box")
    sizes, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.2), width_ratios=(3, 2))
    rows = slid(numbers, WEIGHTS[1])
    digits = np.array(rows[0]["digits"])
    places = np.arange(len(digits))
    for k, (zoom, colour) in enumerate(zip(ZOOMS, ("C0", "C1", "C2"), strict=True)):
        share = 100 * np.mean([row["sizes"][k]["found"] for row in rows], 0) / digits
        left.plot(places, share, "o-", color=colour, label=f"windows of {SIZE / zoom:.0f} pixels")
    left.plot(
        places, 100 * np.mean([row["found by any"] for row in rows], 0) / digits, "--", color="C5", label="any of them"
    )
    low, high = "below " + f"{EDGES[0]:.0f}", f"{EDGES[-1]:.0f} or more"
    between = [f"{a:.0f} to {b:.0f}" for a, b in pairwise(EDGES)]
    left.set_xticks(places, [low, *between, high], fontsize=8)
    left.set(xlabel="height of the digit in pixels", ylabel="found (%)", ylim=(-3, 103))
    left.legend(fontsize=8)
    for offset, arm, name in ((-0.2, EASY, "whole digits or none"), (0.2, WEIGHTS[1], "also digits cut off")):
        wrong = np.array([[size["wrong"] for size in row["sizes"]] for row in slid(numbers, arm)]) / digits.sum()
        right.bar(np.arange(3) + offset, wrong.mean(0), 0.4, yerr=wrong.std(0, ddof=1), ecolor="C5", label=name)
    right.set_xticks(range(3), [f"{SIZE / zoom:.0f}" for zoom in ZOOMS])
    right.set(xlabel="side of the window in pixels", ylabel="wrong windows a digit")
    right.legend(fontsize=8, title="trained on windows with", title_fontsize=8)
    return {"weights": weights, "sizes": sizes}
