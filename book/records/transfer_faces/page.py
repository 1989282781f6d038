"""What the page on learning from several tasks shows and says of the record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.transfer_faces.run import STEPS
from dlref.train import Repeated, compare

ARMS = (
    "nearest neighbour, pixels",
    "ridge, pixels",
    "from scratch",
    "ImageNet, frozen",
    "ImageNet, fine-tuned",
    "faces, frozen",
)
TRAINED = ("from scratch", "ImageNet, fine-tuned")


def of(numbers: Mapping[str, Any], arm: str, size: int) -> Repeated:
    """The test errors of an arm."""
    rows = [row for row in numbers["runs"] if (row["arm"], row["size"]) == (arm, size)]
    return Repeated(np.array([row["test error"] for row in rows]), tuple(row["seed"] for row in rows))


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; all arms have the same seeds."""
    for size in numbers["sizes"]:
        for arm in ARMS[2:]:
            for pixels in ARMS[:2]:
                gain = compare(of(numbers, pixels, size), of(numbers, arm, size), confidence=1 - 0.05 / 24)
                assert gain.low > 0  # check: networks-beat-pixels
    for arm in TRAINED:
        for size in numbers["sizes"]:
            tried = {row["rate"] for row in numbers["rates"] if (row["arm"], row["size"]) == (arm, size)}
            (chosen,) = {row["rate"] for row in numbers["runs"] if (row["arm"], row["size"]) == (arm, size)}
            assert min(tried) < chosen < max(tried)  # check: rates-between
    for size in (1, 2):
        tried = [row for row in numbers["rates"] if (row["arm"], row["size"]) == ("from scratch", size)]
        by_loss = min(tried, key=lambda row: row["dev loss"])
        by_error = min(tried, key=lambda row: row["dev error"])
        assert by_loss["rate"] != by_error["rate"]
        assert by_loss["test error"] > by_error["test error"]  # check: loss-misleads
    two = compare(of(numbers, "from scratch", 2), of(numbers, "ImageNet, fine-tuned", 2), confidence=1 - 0.05 / 3)
    assert two.low > 0  # check: tuned-ahead-at-two
    for size in (1, 5):
        gap = compare(of(numbers, "from scratch", size), of(numbers, "ImageNet, fine-tuned", size))
        assert gap.low < 0 < gap.high  # check: no-difference-seen


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    short = {"from scratch": "scratch", "ImageNet, fine-tuned": "tuned"}
    errors = {
        f"{name}-{size}": f"{100 * of(numbers, arm, size).mean:.0f}"
        for arm, name in short.items()
        for size in numbers["sizes"]
    }
    return errors | {f"steps-{name}": f"{STEPS[arm]:,}" for arm, name in short.items()}


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """A panel for each number of photographs, a bar for each arm."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.2), sharey=True)
    colours = ("C4", "C4", "C2", "C0", "C0", "C1")
    for ax, size in zip(axes, numbers["sizes"], strict=True):
        found = [of(numbers, arm, size) for arm in ARMS]
        heights = [100 * f.mean for f in found]
        ax.barh(range(6), heights, xerr=[100 * f.spread for f in found], color=colours, ecolor="C5", capsize=2)
        many = "" if size == 1 else "s"
        ax.set(title=f"{size} photograph{many} a person", xlabel="test error (%)", xlim=(0, 100))
        for place, height in enumerate(heights):
            ax.text(97, place, f"{height:.0f}", ha="right", va="center", fontsize=9)
    axes[0].set_yticks(range(6), ARMS)
    axes[0].invert_yaxis()
    return {"errors": figure}
