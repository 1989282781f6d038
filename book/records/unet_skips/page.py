"""What the page on segmentation shows and says of the record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.unet_skips.run import ARMS, FAR, RATES, STEPS
from dlref.train import Repeated, compare

NAMES = {"concatenate": "side by side", "add": "added", "none": "none", "no pooling": "no pooling"}


def of(numbers: Mapping[str, Any], arm: str) -> Repeated:
    """The mean IoU of an arm's networks on the test slices."""
    rows = [row for row in numbers["runs"] if row["arm"] == arm]
    return Repeated(np.array([row["mean IoU"] for row in rows]), tuple(row["seed"] for row in rows))


def wrong(numbers: Mapping[str, Any], arm: str) -> np.ndarray:
    """Share of wrong pixels (%) by distance from the nearest pixel of another class, and its spread over seeds."""
    counts = np.array([row["by distance"] for row in numbers["runs"] if row["arm"] == arm])
    shares = 100 * counts[:, 1] / counts[:, 0]
    return np.stack((shares.mean(0), shares.std(0, ddof=1)))


def far_from_outlines(numbers: Mapping[str, Any], arm: str) -> Repeated:
    """Share of wrong pixels (%) farthest from any other class, seed by seed."""
    rows = [row for row in numbers["runs"] if row["arm"] == arm]
    shares = [100 * row["by distance"][1][-1] / row["by distance"][0][-1] for row in rows]
    return Repeated(np.array(shares), tuple(row["seed"] for row in rows))


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; all arms have the same seeds."""
    chosen = {row["arm"]: row["rate"] for row in numbers["runs"]}
    assert [arm for arm in ARMS if not min(RATES) < chosen[arm] < max(RATES)] == ["add"]
    assert chosen["add"] == max(RATES)  # check: unet-rates
    best = of(numbers, "concatenate")
    gain = {arm: compare(best, of(numbers, arm), confidence=0.975) for arm in ARMS[1:]}
    assert gain["none"].low > 0.01  # check: skips-help
    assert gain["no pooling"].low > 0.02  # check: poolings-help
    assert gain["add"].low < 0 < gain["add"].difference < 0.03  # check: added-alike
    shares = {arm: wrong(numbers, arm)[0] for arm in ("concatenate", "none", "no pooling")}
    excess = {arm: shares[arm] - shares["concatenate"] for arm in ("none", "no pooling")}
    assert excess["none"][0] > 10 > 4 > excess["no pooling"][0]
    assert excess["none"][1] > 2 * excess["no pooling"][1]  # check: wrong-at-the-outline
    far = {arm: far_from_outlines(numbers, arm) for arm in ("concatenate", "no pooling")}
    assert compare(far["no pooling"], far["concatenate"], confidence=0.975).low > 1
    assert excess["no pooling"][-1] > 1.5 * excess["no pooling"][0]  # check: wrong-inside


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    found = {"steps": f"{STEPS}", "table": f"{100 * numbers['by brightness']['mean IoU']:.0f}"}
    for arm in ARMS:
        found[arm.replace(" ", "-")] = f"{100 * of(numbers, arm).mean:.0f}"
    for arm in ("concatenate", "none", "no pooling"):
        share = wrong(numbers, arm)[0]
        found[f"{arm.replace(' ', '-')}-near"] = f"{share[0]:.0f}"
        found[f"{arm.replace(' ', '-')}-far"] = f"{share[-1]:.0f}"
    return found


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """The mean IoU of each arm, and where the wrong pixels lie."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 2.8))
    found = [of(numbers, arm) for arm in ARMS]
    widths, bars = [100 * f.mean for f in found], [100 * f.spread for f in found]
    left.barh(range(len(ARMS)), widths, xerr=bars, color=["C0", "C1", "C2", "C3"], ecolor="C5", capsize=2)
    left.axvline(100 * numbers["by brightness"]["mean IoU"], color="C5", ls="--", lw=1)
    left.set(xlabel="mean IoU (%)", xlim=(0, 100))
    left.set_yticks(range(len(ARMS)), [NAMES[arm] for arm in ARMS])
    left.invert_yaxis()
    for arm in ("concatenate", "none", "no pooling"):
        share, spread = wrong(numbers, arm)
        colour = f"C{ARMS.index(arm)}"
        right.errorbar(range(1, FAR + 2), share, spread, color=colour, capsize=2, label=NAMES[arm])
    right.set_xticks(range(1, FAR + 2), [*map(str, range(1, FAR + 1)), f"> {FAR}"])
    right.set(xlabel="distance from another class (pixels)", ylabel="wrong pixels (%)", ylim=(0, None))
    right.legend()
    return {"arms": figure}
