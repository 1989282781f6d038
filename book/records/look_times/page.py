"""What the page on region proposals shows and says of the times."""

from collections.abc import Mapping
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from book.records.look_times.run import ARMS

PARTS = ("convolutions", "first look", "second look")


def alone(numbers: Mapping[str, Any], arm: str) -> list[float]:
    """Milliseconds of each part without those before it."""
    found, before = [], 0.0
    for part in PARTS:
        until = numbers["times"][arm].get(part, before)
        found.append(until - before)
        before = until
    return found


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page."""
    total = {arm: sum(alone(numbers, arm)) for arm in ARMS}
    assert 1.6 < total["aligned"] / total["one look"] < 2.4  # check: second-look-costs


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    short = {"one look": "one", "aligned": "aligned", "pooled": "pooled"}
    found = {short[arm]: f"{sum(alone(numbers, arm)):.1f}" for arm in ARMS}
    for arm in ("one look", "aligned"):
        found[f"weights-{short[arm]}"] = f"{numbers['parameters'][arm]:,}"
    return found


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """The parts of each arm side by side."""
    figure, ax = plt.subplots(figsize=(6.4, 1.9))
    before = [0.0] * len(ARMS)
    for number, part in enumerate(PARTS):
        widths = [alone(numbers, arm)[number] for arm in ARMS]
        ax.barh(range(len(ARMS)), widths, left=before, color=f"C{number}", label=part)
        before = [b + w for b, w in zip(before, widths, strict=True)]
    ax.set_yticks(range(len(ARMS)), ARMS)
    ax.invert_yaxis()
    ax.set(xlabel="milliseconds a picture")
    ax.legend(fontsize=8)
    return {"times": figure}
