"""What the page on residual networks shows and says of the record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

DEPTHS = (8, 20, 56)


def of(numbers: Mapping[str, Any], kind: str, depth: int, what: str) -> np.ndarray:
    """One value a seed."""
    return np.array([row[what] for row in numbers["runs"] if (row["kind"], row["depth"]) == (kind, depth)])


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page; two arms have the same seeds."""
    plain = [of(numbers, "plain", depth, "loss") for depth in DEPTHS]
    residual = [of(numbers, "residual", depth, "loss") for depth in DEPTHS]
    assert (plain[2] > 10 * plain[1]).all()
    assert (plain[2] > 10 * plain[0]).all()  # check: degradation-to-the-end
    assert (residual[0] > residual[2]).all()  # check: deeper-is-better
    tried = {(row["kind"], row["depth"], row["rate"]) for row in numbers["rates"]}
    rates = sorted({row["rate"] for row in numbers["rates"]})
    for row in numbers["runs"]:
        place = rates.index(row["rate"])
        assert 0 < place < len(rates) - 1
        assert all((row["kind"], row["depth"], rates[place + k]) in tried for k in (-1, 1))  # check: rates-inside


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    arms = [(kind, depth) for kind in ("plain", "residual") for depth in DEPTHS]
    others = [of(numbers, *arm, "error").max() for arm in arms if arm != ("plain", 56)]
    return {
        "epochs": str(numbers["epochs"]),
        "plain-56": f"{of(numbers, 'plain', 56, 'loss').mean():.2f}",
        "plain-8": f"{of(numbers, 'plain', 8, 'loss').mean():.4f}",
        "residual-56": f"{of(numbers, 'residual', 56, 'loss').mean():.4f}",
        "plain-56-error": f"{of(numbers, 'plain', 56, 'error').mean():.0%}",
        "others-error": f"{max(others):.2%}",
        "plain-56-test": f"{of(numbers, 'plain', 56, 'test error').mean():.0%}",
        "residual-56-test": f"{of(numbers, 'residual', 56, 'test error').mean():.1%}",
    }


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """The curves of all runs."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True)
    for ax, kind in zip(axes, ("plain", "residual"), strict=True):
        for k, depth in enumerate(DEPTHS):
            curves = of(numbers, kind, depth, "curve")
            epochs = np.arange(1, curves.shape[1] + 1)
            ax.fill_between(epochs, curves.min(0), curves.max(0), color=f"C{k}", alpha=0.2)
            ax.semilogy(epochs, curves.mean(0), color=f"C{k}", label=f"{depth} layers")
        ax.set(title={"plain": "plain", "residual": "with shortcuts"}[kind], xlabel="epoch")
    axes[0].set_ylabel("training loss")
    axes[1].legend()
    return {"curves": figure}
