"""Detectors of digits on photographs: numbers of anchors, and each part of the loss taken away; and of nuclei.

Each arm has its own rate, the one of four whose network of a seed of its own has the best AP50 on dev scenes.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlref.data import digit_scenes, nuclei, nuclei_windows
from dlref.data.boxes import STRIPS
from dlref.detection import (
    Detections,
    LossParts,
    average_precisions,
    grid_detections,
    grid_losses,
    grid_network,
    grid_targets,
    grid_values,
    kmeans_anchors,
)
from dlref.device import seed
from dlref.optimization import Adam, CosineDecay
from dlref.train import Noted, fit, predict

SIDE, CELLS, TRAIN, TEST, STEPS, BATCH = 64, 8, 4000, 500, 1000, 32
CROPS, NUCLEI_STEPS = 1000, 400
RATES, SEED_OF_THE_RATE, SEEDS = (1.5e-3, 5e-3, 1.5e-2, 4.5e-2), 100, (0, 1, 2, 3, 4)
ANCHORS = {"one anchor": 1, "five anchors": 5}
ARMS = ("two anchors", *ANCHORS, "no class", "no empty places", "nuclei")
PROCESSES = 2


def standard(images: np.ndarray) -> Tensor:
    """Pictures in [0, 1], moved and stretched to about mean 0."""
    return 4 * torch.tensor(images) - 1


@cache
def digits(split: str) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Scenes, and for each the boxes and labels."""
    found = digit_scenes({"train": TRAIN, "dev": TEST, "test": TEST}[split], split=split)
    return standard(found.images), [torch.tensor(b) for b in found.boxes], [torch.tensor(k) for k in found.labels]


@cache
def cells(split: str) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Squares of the left of the photograph of nuclei to train on, and the strips beside it, whole."""
    if split == "train":
        found = nuclei_windows(CROPS)
        images, boxes = found.images, [torch.tensor(b) for b in found.boxes]
    else:
        known, (left, right) = nuclei(), STRIPS[split]
        inside = (known.boxes[:, 0] >= left) & (known.boxes[:, 2] <= right)
        moved = known.boxes[inside] - np.array([left, 0, left, 0])
        images, boxes = known.image[None, None, :, left:right], [torch.tensor(moved, dtype=torch.float32)]
    return standard(images), boxes, [torch.zeros(len(b), dtype=torch.int64) for b in boxes]


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and tested on."""
    return {
        f"{name} {split} {k}": array
        for name, source in (("digits", digits), ("cells", cells))
        for split in ("train", "dev", "test")
        for k, array in enumerate((source(split)[0].numpy(), torch.cat(source(split)[1]).numpy()))
    }


def anchors_of(boxes: list[Tensor], count: int) -> Tensor:
    """Shapes that fit the boxes of the training set."""
    every = torch.cat(boxes)
    return kmeans_anchors(every[:, 2:] - every[:, :2], count)


def taken(arm: str, parts: LossParts, output: Tensor, target: Tensor) -> Tensor:
    """The sum of the parts that an arm is trained with."""
    presence, box, label = (part.sum() for part in parts)
    if arm == "no class":
        return presence + box
    if arm == "no empty places":
        there = target[:, :, 0] > 0
        return nn.functional.softplus(-output[:, :, 0][there]).sum() + box + label
    return presence + box + label


def trained(arm: str, number: int, lr: float, steps: int | None = None) -> tuple[nn.Module, Tensor, list[float]]:
    """A network, its anchors, and the losses of its steps."""
    torch.set_num_threads(1)
    nuclear = arm == "nuclei"
    images, boxes, labels = cells("train") if nuclear else digits("train")
    count, classes = 1 if nuclear else ANCHORS.get(arm, 2), 1 if nuclear else 10
    anchors, size = anchors_of(boxes, count), (images.shape[2], images.shape[3])
    target = grid_targets(boxes, labels, size, (size[0] // 8, size[1] // 8), classes, anchors=anchors)

    def loss(output: Tensor, target: Tensor) -> Tensor:
        parts = grid_losses(output, target, size, anchors=anchors)
        return taken(arm, parts, output, target) / target[:, :, 0].sum().clamp(min=1)

    total = NUCLEI_STEPS if nuclear else STEPS
    seed(number)
    net, noted = grid_network(classes, count, in_channels=images.shape[1]), Noted(loss)
    adam = Adam(net.parameters(), lr=lr)
    fit(
        net, noted, (images, target), optimizer=adam, batch_size=BATCH, steps=steps or total, seed=number,
        scheduler=CosineDecay(adam, T_max=total, warmup=total // 20), interval="step",
    )  # fmt: skip
    return net, anchors, noted.values[:10]


def train(arm: str, number: int, lr: float, split: str) -> dict[str, Any]:
    """One network, and how good its list of boxes is: as it is, whatever the names, and with its copies."""
    net, anchors, first_losses = trained(arm, number, lr)
    images, boxes, labels = (cells if arm == "nuclei" else digits)(split)
    size = (images.shape[2], images.shape[3])
    values = grid_values(predict(net, images), size, anchors=anchors)
    found, copies = (
        grid_detections(values, size, score_threshold=0.001, iou_threshold=threshold) for threshold in (0.5, None)
    )
    objects = [Detections(b, k, torch.ones(len(b))) for b, k in zip(boxes, labels, strict=True)]
    classes = 1 if arm == "nuclei" else 10
    table = average_precisions(found, objects, classes)
    doubled = average_precisions(copies, objects, classes, iou_thresholds=[0.5], max_detections=None)
    nameless = [unnamed(d) for d in found], [unnamed(d) for d in objects]
    any_name = average_precisions(*nameless, 1, iou_thresholds=[0.5], max_detections=None)
    return {
        "arm": arm, "seed": number, "rate": lr, "first": first_losses,
        "AP50": float(np.nanmean(table[0])), "AP75": float(np.nanmean(table[5])), "AP": float(np.nanmean(table)),
        "any name": float(any_name[0, 0]), "with copies": float(np.nanmean(doubled[0])),
    }  # fmt: skip


def unnamed(detections: Detections) -> Detections:
    """The same boxes, all of one class."""
    return detections._replace(labels=torch.zeros_like(detections.labels))


def best_rate(arm: str, tried: list[dict[str, Any]]) -> float:
    """The rate with the best AP50 on dev; without names in training, whatever the names."""
    measure = "any name" if arm == "no class" else "AP50"
    return max((row for row in tried if row["arm"] == arm), key=lambda row: row[measure])["rate"]


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return trained(ARMS[0], 0, 5e-3, steps=steps)[2]


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        trials = [pool.submit(train, arm, SEED_OF_THE_RATE, lr, "dev") for arm in ARMS for lr in RATES]
        tried = [trial.result() for trial in trials]
        best = {arm: best_rate(arm, tried) for arm in ARMS}
        runs = [pool.submit(train, arm, number, best[arm], "test") for arm in ARMS for number in SEEDS]
        return {"runs": [one.result() for one in runs], "rates": tried, "seeds": list(SEEDS)}
