"""What the page on style transfer shows and says of the record."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

EARLY = 10  # which of the kept values is told


def last(numbers: Mapping[str, Any]) -> dict[float | None, float]:
    """The least sum that each optimiser has reached, by rate; without a rate, L-BFGS."""
    return {arm["rate"]: arm["total"][-1] for arm in numbers["arms"]}


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page."""
    reached = last(numbers)
    rates = {rate: total for rate, total in reached.items() if rate is not None}
    best = min(rates, key=lambda rate: rates[rate])
    assert min(rates) < best < max(rates)  # check: adam-rates-between
    assert len({arm["total"][0] for arm in numbers["arms"]}) == 1
    at_twenty = 20 // numbers["every"]
    early = {arm["rate"]: arm["total"][at_twenty] for arm in numbers["arms"]}
    assert min(early, key=lambda rate: early[rate]) is None
    assert abs(rates[best] / reached[None] - 1) < 0.01  # check: lead-fades


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    arms = {arm["rate"]: arm["total"] for arm in numbers["arms"]}
    best = min((rate for rate in arms if rate is not None), key=lambda rate: arms[rate][-1])
    early, every = EARLY, numbers["every"]
    return {
        "lbfgs-early": f"{arms[None][early]:.1f}",
        "adam-early": f"{arms[best][early]:.1f}",
        "lbfgs": f"{arms[None][-1]:.1f}",
        "adam": f"{arms[best][-1]:.1f}",
        "begin": f"{arms[None][0]:.0f}",
        "rate": f"{best:g}",
        "early": f"{1 + every * early}",
        "evaluations": f"{1 + every * (len(arms[None]) - 1)}",
    }


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """The picture, and the sums by evaluations."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
    image = Image.open(io.BytesIO(base64.b64decode(numbers["image"]))).convert("RGB")
    smaller = image.resize((192, 192)).quantize(64).convert("RGB")  # for a small file
    left.imshow(np.asarray(smaller), interpolation="none")
    left.axis("off")
    for arm in numbers["arms"]:
        name = "L-BFGS" if arm["rate"] is None else f"Adam, {arm['rate']:g}"
        places = 1 + numbers["every"] * np.arange(len(arm["total"]))
        style = {"linewidth": 2.5} if arm["rate"] is None else {}
        right.plot(places, arm["total"], label=name, **style)
    right.set(yscale="log", xlabel="evaluations", ylabel="weighted sum of the costs")
    right.legend()
    return {"transfer": figure}
