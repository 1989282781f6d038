"""What one look and two looks at a scene cost, part by part: milliseconds a picture, one thread, nothing beside it."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from book.records.detector.run import digits
from book.records.two_stages.run import CLASSES, SIZE, trained
from book.records.two_stages.run import data as data_of_two_stages
from dlref.detection import Detections, TwoStageDetector, grid_detections, grid_values

ARMS = ("one look", "aligned", "pooled")
STEPS, PICTURES, TURNS, RATE = 200, 100, 15, 5e-3
PROCESSES = 1


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and timed on."""
    return data_of_two_stages()


def parts_of(net: nn.Module, anchors: Tensor, images: Tensor) -> dict[str, Callable[[], Any]]:
    """What to time: each with all that comes before it."""
    if isinstance(net, TwoStageDetector):
        return {
            "convolutions": lambda: net.backbone(images),
            "first look": lambda: net.regions(net(images)),
            "second look": lambda: net.detect(images),
        }
    assert isinstance(net, nn.Sequential)
    return {
        "convolutions": lambda: net[:-2](images),
        "first look": lambda: under_every_name(grid_values(net(images), SIZE, anchors=anchors)),
    }


def under_every_name(values: Tensor) -> list[Detections]:
    """The boxes of a grid, each under all names, as the two looks list theirs; all names in one pass."""
    only = values[:, :, None].repeat(1, 1, CLASSES, 1, 1, 1)
    only[:, :, :, 5:] *= torch.eye(CLASSES)[..., None, None]
    return grid_detections(only.flatten(1, 2), SIZE, score_threshold=0.001, iou_threshold=0.5)


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return trained("aligned", 0, RATE, steps=steps)[2]


@torch.no_grad()
def run() -> dict[str, Any]:
    """Medians over turns, in each of which every part of every arm is timed once."""
    torch.set_num_threads(1)
    images = digits("test")[0][:PICTURES]
    with torch.enable_grad():
        nets = {arm: trained(arm, 0, RATE, steps=STEPS)[:2] for arm in ARMS}
    taken: dict[str, dict[str, list[float]]] = {arm: {} for arm in ARMS}
    for _ in range(TURNS):
        for arm, (net, anchors) in nets.items():
            for part, job in parts_of(net, anchors, images).items():
                begin = time.perf_counter()
                job()
                seconds = time.perf_counter() - begin
                taken[arm].setdefault(part, []).append(1000 * seconds / PICTURES)
    return {
        "times": {arm: {part: median(values) for part, values in parts.items()} for arm, parts in taken.items()},
        "parameters": {arm: sum(p.numel() for p in net.parameters()) for arm, (net, _) in nets.items()},
        "seeds": [0],
    }
