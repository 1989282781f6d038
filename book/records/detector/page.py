"""What the page on YOLO shows and says of the record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.detector.run import STEPS
from dlref.train import Repeated, compare

ANCHORS = ("one anchor", "two anchors", "five anchors")
WITHOUT = ("no class", "no empty places")


def of(numbers: Mapping[str, Any], arm: str, measure: str = "AP50") -> Repeated:
    """A measure of an arm's networks on the test set."""
    rows = [row for row in numbers["runs"] if row["arm"] == arm]
    return Repeated(np.array([row[measure] for row in rows]), tuple(row["seed"] for row in rows))


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; all arms have the same seeds."""
    chosen = {row["arm"]: row["rate"] for row in numbers["runs"]}
    tried = {row["rate"] for row in numbers["rates"]}
    for arm in ("one anchor", "two anchors", *WITHOUT):
        assert min(tried) < chosen[arm] < max(tried)  # check: detector-rates-between
    for arm in ("five anchors", "nuclei"):
        assert chosen[arm] == max(tried)  # check: detector-rates-at-the-end
    assert of(numbers, "two anchors").mean > 0.75
    assert of(numbers, "nuclei").mean > 0.65
    more = compare(of(numbers, "five anchors"), of(numbers, "one anchor"))
    assert more.high < 0.005  # check: more-anchors-no-better
    named, unnamed = (of(numbers, "no class", measure) for measure in ("AP50", "any name"))
    assert named.mean < 0.05 < 0.9 < unnamed.mean  # check: no-class-places
    measures = ("AP50", "AP75", "with copies")
    base, empty = ({m: of(numbers, arm, m) for m in measures} for arm in ("two anchors", "no empty places"))
    falls = {m: compare(base[m], empty[m], confidence=1 - 0.05 / 3) for m in base}
    assert 0 < falls["AP50"].low < falls["AP50"].high < 0.09  # check: empty-places-half
    assert falls["AP75"].low > 0.1  # check: empty-places-tight
    assert falls["with copies"].low > 0.3  # check: empty-places-copies
    copies = compare(base["AP50"], base["with copies"])
    assert 0 < copies.low < copies.high < 0.04  # check: copies-counted


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    asked = {
        "base": ("two anchors", "AP50"), "base-any": ("two anchors", "any name"), "base75": ("two anchors", "AP75"),
        "base-copies": ("two anchors", "with copies"),
        "one": ("one anchor", "AP50"), "five": ("five anchors", "AP50"), "nuclei": ("nuclei", "AP50"),
        "class": ("no class", "AP50"), "class-any": ("no class", "any name"), "empty": ("no empty places", "AP50"),
        "empty75": ("no empty places", "AP75"), "empty-copies": ("no empty places", "with copies"),
    }  # fmt: skip
    found = {name: f"{100 * of(numbers, *one).mean:.0f}" for name, one in asked.items()}
    return {**found, "steps": f"{STEPS}"}


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """A bar for each arm; behind it, the same boxes whatever their names; below it, with their copies."""
    arms = (*ANCHORS, *WITHOUT)
    figure, ax = plt.subplots(figsize=(8.4, 3.6))
    bars = (("any name", "C5", -0.27, "whatever the name"), ("AP50", "C0", 0, "with the right name"))
    for measure, colour, place, name in (*bars, ("with copies", "C1", 0.27, "copies left in")):
        found = [of(numbers, arm, measure) for arm in arms]
        widths, spread = [100 * f.mean for f in found], [100 * f.spread for f in found]
        heights = np.arange(len(arms)) + place
        ax.barh(heights, widths, 0.25, xerr=spread, color=colour, ecolor="C5", capsize=2, label=name)
    ax.set_yticks(range(len(arms)), arms)
    ax.invert_yaxis()
    ax.set(xlabel="AP50 (%)", xlim=(0, 100))
    ax.legend(loc="upper center", fontsize=8, bbox_to_anchor=(0.5, -0.2), ncols=3)
    return {"arms": figure}
