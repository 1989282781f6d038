"""Detectors of digits with one look and with two, the second look cut out of the map in three ways, on the same scenes.

Each arm has its own rate, the one whose network of a seed of its own has the best AP on dev scenes. The backbone, the
anchors, the steps and the batches are the same, and each box is listed under every name that it may have. Times are of
all that leads from pictures to boxes, one thread.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from book.records.detector.run import anchors_of, digits, unnamed
from dlref.detection import (
    Detections,
    TwoStageDetector,
    average_precisions,
    box_iou,
    grid_detections,
    grid_losses,
    grid_network,
    grid_targets,
    grid_values,
    object_targets,
)
from dlref.device import seed
from dlref.optimization import Adam, CosineDecay
from dlref.train import Noted, fit

SIZE, GRID, CLASSES, STEPS, BATCH = (64, 64), (8, 8), 10, 1000, 32
SEED_OF_THE_RATE, SEEDS = 100, (0, 1, 2, 3, 4)
ARMS = ("one look", "aligned", "aligned, whole places", "pooled")
RATES = {arm: (1.5e-3, 5e-3, 1.5e-2) if arm != "one look" else (5e-3, 1.5e-2, 4.5e-2) for arm in ARMS}
PROCESSES = 2


class OnWholePlaces(TwoStageDetector):
    """Aligned features of the whole places that pooling would take of each region."""

    def second_look(self, features: Tensor, boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """As of the parent, of boxes that begin and end with a place."""
        last = torch.tensor([0, 0, self.STRIDE, self.STRIDE])
        return super().second_look(features, [(b / self.STRIDE).round() * self.STRIDE + last for b in boxes])


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and tested on."""
    return {
        f"{split} {k}": array
        for split in ("train", "dev", "test")
        for k, array in enumerate((digits(split)[0].numpy(), torch.cat(digits(split)[1]).numpy()))
    }


def network(arm: str, anchors: Tensor) -> nn.Module:
    """An untrained network of an arm."""
    if arm == "one look":
        return grid_network(CLASSES, len(anchors))
    kind = OnWholePlaces if arm == "aligned, whole places" else TwoStageDetector
    return kind(CLASSES, anchors, pooling="pool" if arm == "pooled" else "align")


def under_every_name(values: Tensor) -> list[Detections]:
    """The boxes of a grid, each under all names, from the highest score to the lowest."""
    lists = []
    for name in range(CLASSES):
        only = values.clone()
        only[:, :, 5:] *= nn.functional.one_hot(torch.tensor(name), CLASSES)[:, None, None]
        lists.append(grid_detections(only, SIZE, score_threshold=0.001, iou_threshold=0.5))
    found = []
    for of_picture in zip(*lists, strict=True):
        every = Detections(*map(torch.cat, zip(*of_picture, strict=True)))
        order = every.scores.argsort(descending=True, stable=True)
        found.append(Detections(*(part[order] for part in every)))
    return found


def detections(net: nn.Module, images: Tensor, anchors: Tensor) -> list[Detections]:
    """The boxes of a trained network, a hundred pictures at a time."""
    found = []
    with torch.no_grad():
        for part in images.split(100):
            if isinstance(net, TwoStageDetector):
                found += net.detect(part)
            else:
                found += under_every_name(grid_values(net(part), SIZE, anchors=anchors))
    return found


def trained(arm: str, number: int, lr: float, steps: int = STEPS) -> tuple[nn.Module, Tensor, list[float]]:
    """A network, its anchors, and the losses of its first steps."""
    torch.set_num_threads(1)
    images, boxes, labels = digits("train")
    anchors = anchors_of(boxes, 2)
    seed(number)
    net = network(arm, anchors)
    if isinstance(net, TwoStageDetector):
        target = object_targets(boxes, labels)

        def loss(look: Any, target: Tensor) -> Tensor:
            return sum(net.losses(look, target), torch.zeros(()))

    else:
        target = grid_targets(boxes, labels, SIZE, GRID, CLASSES, anchors=anchors)

        def loss(look: Any, target: Tensor) -> Tensor:
            parts = grid_losses(look, target, SIZE, anchors=anchors)
            return sum((part.sum() for part in parts), torch.zeros(())) / target[:, :, 0].sum().clamp(min=1)

    noted, adam = Noted(loss), Adam(net.parameters(), lr=lr)
    fit(
        net, noted, (images, target), optimizer=adam, batch_size=BATCH, steps=steps, seed=number,
        scheduler=CosineDecay(adam, T_max=STEPS, warmup=STEPS // 20), interval="step",
    )  # fmt: skip
    return net.eval(), anchors, noted.values[:10]


def recall_of_regions(net: nn.Module, images: Tensor, boxes: list[Tensor], threshold: float) -> float | None:
    """The share of the digits that one of the regions of the first look overlaps so much."""
    if not isinstance(net, TwoStageDetector):
        return None
    with torch.no_grad():
        regions = [r.boxes for part in images.split(100) for r in net.regions(net(part))]
    hits = [box_iou(b, r).amax(1) >= threshold for b, r in zip(boxes, regions, strict=True) if len(b)]
    return torch.cat(hits).double().mean().item()


def train(arm: str, number: int, lr: float, split: str) -> dict[str, Any]:
    """One network, and how good its list of boxes is, with its names and whatever the names."""
    net, anchors, first_losses = trained(arm, number, lr)
    images, boxes, labels = digits(split)
    found = detections(net, images, anchors)
    objects = [Detections(b, k, torch.ones(len(b))) for b, k in zip(boxes, labels, strict=True)]
    table = average_precisions(found, objects, CLASSES)
    # whatever the name: of each box only the best-scored copy, so that a list is not full of one box under ten names
    nameless = [unnamed(best_named(d)) for d in found], [unnamed(d) for d in objects]
    any_name = average_precisions(*nameless, 1)
    return {
        "arm": arm, "seed": number, "rate": lr, "first": first_losses,
        "AP50": float(np.nanmean(table[0])), "AP75": float(np.nanmean(table[5])), "AP": float(np.nanmean(table)),
        "any name 50": float(any_name[0, 0]), "any name 75": float(any_name[5, 0]),
        "regions 0.5": recall_of_regions(net, images, boxes, 0.5),
        "regions 0.7": recall_of_regions(net, images, boxes, 0.7),
    }  # fmt: skip


def best_named(found: Detections) -> Detections:
    """Each box once, under the name of its highest score; a list is sorted by score."""
    _, inverse = found.boxes.unique(dim=0, return_inverse=True)
    first = torch.full((int(inverse.max()) + 1 if len(inverse) else 0,), len(inverse))
    first = first.scatter_reduce(0, inverse, torch.arange(len(inverse)), "amin").sort().values
    return Detections(*(part[first] for part in found))


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return trained(ARMS[1], 0, 5e-3, steps=steps)[2]


def times() -> dict[str, float]:
    """Milliseconds a picture from pixels to boxes, the median of nine turns, after training."""
    images, nets = digits("test")[0][:100], {arm: trained(arm, 0, 5e-3, steps=200) for arm in ARMS}
    taken: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for _ in range(9):
        for arm, (net, anchors, _) in nets.items():
            begin = time.perf_counter()
            detections(net, images, anchors)
            taken[arm].append(1000 * (time.perf_counter() - begin) / len(images))
    return {arm: median(values) for arm, values in taken.items()}


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included; then, with nothing beside it, the times."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        trials = [pool.submit(train, arm, SEED_OF_THE_RATE, lr, "dev") for arm in ARMS for lr in RATES[arm]]
        tried = [trial.result() for trial in trials]
        best = {arm: max((r for r in tried if r["arm"] == arm), key=lambda r: r["AP"])["rate"] for arm in ARMS}
        runs = [pool.submit(train, arm, number, best[arm], "test") for arm in ARMS for number in SEEDS]
        return {"runs": [one.result() for one in runs], "rates": tried, "seeds": list(SEEDS), "times": times()}
