"""What the page on region proposals shows and says of the record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.two_stages.run import ARMS, RATES, STEPS
from dlref.train import Repeated, compare

SHORT: dict[str, str] = dict(zip(("one", "aligned", "whole", "pooled"), ARMS, strict=True))


def of(numbers: Mapping[str, Any], short: str, measure: str) -> Repeated:
    """A measure of an arm's networks on the test set."""
    rows = [row for row in numbers["runs"] if row["arm"] == SHORT[short]]
    return Repeated(np.array([row[measure] for row in rows]), tuple(row["seed"] for row in rows))


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; all arms have the same seeds."""

    def gain(first: str, second: str, measure: str):
        return compare(of(numbers, first, measure), of(numbers, second, measure), confidence=0.975)

    chosen = {row["arm"]: row["rate"] for row in numbers["runs"]}
    assert all(min(RATES[arm]) < chosen[arm] < max(RATES[arm]) for arm in ARMS)  # check: two-stages-rates-between
    assert gain("aligned", "one", "AP50").low > 0.03
    assert gain("aligned", "one", "AP75").low > 0.15  # check: second-look-helps
    named = {short: of(numbers, short, "any name 50").mean - of(numbers, short, "AP50").mean for short in SHORT}
    assert named["one"] > 0.04 > 0.02 > named["aligned"]  # check: names-gain
    assert gain("aligned", "one", "any name 50").low > 0
    assert gain("aligned", "one", "any name 75").low > 0.15  # check: boxes-gain
    assert gain("aligned", "whole", "AP75").low > 0.2
    assert gain("aligned", "whole", "AP50").low > 0.04
    assert gain("one", "whole", "AP75").low > 0
    assert of(numbers, "whole", "AP50").mean < of(numbers, "one", "AP50").mean  # check: rounding-costs
    assert abs(gain("pooled", "whole", "AP50").difference) < 0.015
    assert abs(gain("pooled", "whole", "AP75").difference) < 0.03  # check: maximum-hardly-matters
    assert gain("one", "pooled", "AP75").low > 0
    assert gain("one", "pooled", "any name 50").low > 0.02  # check: rounded-fits-worse
    for least in ("regions 0.5", "regions 0.7"):
        for other in ("whole", "pooled"):
            assert abs(gain("aligned", other, least).difference) < 0.03  # check: regions-alike


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    found = {"steps": f"{STEPS}"}
    for short in SHORT:
        found[f"{short}-ap75"] = f"{100 * of(numbers, short, 'AP75').mean:.0f}"
    for short in ("one", "aligned", "pooled"):
        found[f"{short}-ap50"] = f"{100 * of(numbers, short, 'AP50').mean:.0f}"
    for short in ("one", "pooled"):
        found[f"{short}-any50"] = f"{100 * of(numbers, short, 'any name 50').mean:.0f}"
    for name, least in (("half", "0.5"), ("tight", "0.7")):
        found[f"regions-{name}"] = f"{100 * of(numbers, 'aligned', f'regions {least}').mean:.0f}"
    return found


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """AP at two overlaps, with the names and whatever the names."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 2.8), sharey=True)
    place = np.arange(len(ARMS))
    for ax, least in zip(axes, (50, 75), strict=True):
        for shift, measure, label, colour in (
            (-0.2, f"AP{least}", "under the right name", "C0"),
            (0.2, f"any name {least}", "whatever the name", "C1"),
        ):
            found = [of(numbers, short, measure) for short in SHORT]
            widths, spreads = [100 * f.mean for f in found], [100 * f.spread for f in found]
            ax.barh(place + shift, widths, 0.36, xerr=spreads, color=colour, ecolor="C5", capsize=2, label=label)
        ax.set(xlabel=f"AP at an overlap of 0.{least} (%)", xlim=(0, 100))
    axes[0].set_yticks(place, ARMS)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8)
    return {"arms": figure}
