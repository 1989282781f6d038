"""Localisers: three weights of the box, with and without the mask, trained on easy windows or on all kinds.

Each arm has its own rate, the one of five whose network of a seed of its own says the most dev windows wholly right.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dlref.data import Scenes, digit_scenes, digit_windows
from dlref.detection import (
    box_convert,
    box_iou,
    fully_convolutional,
    localization_loss,
    localization_losses,
    localization_targets,
    window_boxes,
)
from dlref.device import seed
from dlref.optimization import Adam, CosineDecay
from dlref.train import Noted, fit, predict

SIZE, SCALE, TRAIN, TEST = 32, (24, 32), 4000, 2000
EPOCHS, BATCH = 24, 32
RATES, SEED_OF_THE_RATE, SEEDS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), 100, (0, 1, 2, 3, 4)
ARMS = ("box x 1", "box x 10", "box x 100", "box x 10, no mask", "box x 10, easy", "box x 10, easy, no mask")
ZOOMS = (1.5, 1.0, 2 / 3)
EDGES = (16.0, 20.0, 24.0, 28.0, 32.0)  # pixels, of the heights that are told apart
PROCESSES = 2


def scenes(arm: str, split: str) -> Scenes:
    """Windows that may hold parts of digits, or (easy) pictures with one whole digit or background alone."""
    count = {"train": TRAIN, "dev": TEST // 2, "test": TEST}[split]
    if "easy" in arm:
        return digit_scenes(count, split=split, size=SIZE, objects=(0, 1), scale=SCALE)
    return digit_windows(count, split=split, size=SIZE, scale=SCALE)


def pair(found: Scenes) -> tuple[Tensor, Tensor]:
    """What a network is shown, and what it is to say."""
    boxes = [torch.tensor(boxes) for boxes in found.boxes]
    labels = [torch.tensor(labels) for labels in found.labels]
    return standard(found.images), localization_targets(boxes, labels, (SIZE, SIZE), 10)


def standard(images: np.ndarray) -> Tensor:
    """Pictures in [0, 1], moved and stretched to about mean 0."""
    return 4 * torch.tensor(images) - 1


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and tested on."""
    return {
        f"{arm} {split} {name}": value.numpy()
        for arm in (ARMS[1], ARMS[4])
        for split in ("train", "dev", "test")
        for name, value in zip("xy", pair(scenes(arm, split)), strict=True)
    }


def network(number: int) -> nn.Sequential:
    """Three convolutions without padding, two linear layers, and 15 numbers."""
    seed(number)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 128),
        nn.ReLU(),
        nn.Linear(128, 15),
    )


def unmasked(output: Tensor, target: Tensor) -> Tensor:
    """The same loss, but for a box that must be zero where there is no object."""
    parts = localization_losses(output, target)
    box = ((output[:, 1:5] - target[:, 1:5]) ** 2).sum(1)
    return (parts.presence + 10 * box + parts.label).mean()


def score(net: nn.Module, examples: tuple[Tensor, Tensor]) -> dict[str, float]:
    """How much of what a network says is right."""
    x, y = examples
    said, there = predict(net, x), y[:, 0] > 0
    seen = (said[:, 0] > 0) == there
    known, made = (box_convert(values[there, 1:5], "cxcywh", "xyxy") for values in (y, said))
    overlap = torch.stack([box_iou(a[None], b[None])[0, 0] for a, b in zip(known, made, strict=True)])
    named = said[there, 5:].argmax(1) == y[there, 5:].argmax(1)
    right = seen.clone()
    right[there] &= named & (overlap > 0.5)
    return {
        "presence error": 1 - seen.double().mean().item(),
        "overlap": overlap.double().mean().item(),
        "well placed": (overlap > 0.75).double().mean().item(),
        "class error": 1 - named.double().mean().item(),
        "right": right.double().mean().item(),
    }


def slid(net: nn.Sequential) -> dict[str, Any]:
    """What a network finds in large scenes at each size of window, by the height of the digits."""
    scenes = digit_scenes(300, split="test", size=96, objects=(2, 4), scale=(18, 48))
    wide = fully_convolutional(net, (3, SIZE, SIZE)).eval()
    known = [torch.tensor(boxes) for boxes in scenes.boxes]
    heights = torch.cat([box[:, 3] - box[:, 1] for box in known])
    bins = torch.bucketize(heights, torch.tensor(EDGES), right=True)
    by_any, rows = torch.zeros(len(heights), dtype=torch.bool), []
    for zoom in ZOOMS:
        x = F.interpolate(standard(scenes.images), scale_factor=zoom, mode="bilinear", antialias=True)
        with torch.no_grad():
            said = wide(x)
        on = (said[:, 0] > 0).flatten(1)
        boxes = window_boxes(said[:, 1:5], SIZE, 4, zoom=zoom).flatten(1, 2)
        overlaps = [box_iou(box, boxes[i, on[i]]) for i, box in enumerate(known)]
        found = torch.cat([(overlap > 0.5).any(1) for overlap in overlaps])
        wrong = sum(int((overlap <= 0.5).all(0).sum()) for overlap in overlaps)
        by_any |= found
        rows.append({"zoom": zoom, "windows": int(on.sum()), "wrong": wrong, "found": by_height(bins[found])})
    return {"digits": by_height(bins), "sizes": rows, "found by any": by_height(bins[by_any])}


def by_height(bins: Tensor) -> list[int]:
    """How many digits lie between two edges, and beyond the outer ones."""
    return torch.bincount(bins, minlength=len(EDGES) + 1).tolist()


def train(arm: str, number: int, lr: float, split: str, steps: int | None = None) -> dict[str, Any]:
    """One network."""
    torch.set_num_threads(1)
    weight = float(arm.split(",")[0].split(" x ")[1])
    rule = unmasked if arm.endswith("no mask") else partial(localization_loss, box_weight=weight)
    net, loss = network(number), Noted(rule)
    total = EPOCHS * TRAIN // BATCH
    adam = Adam(net.parameters(), lr=lr)
    fit(
        net, loss, pair(scenes(arm, "train")), optimizer=adam, batch_size=BATCH, steps=steps or total, seed=number,
        scheduler=CosineDecay(adam, T_max=total, warmup=total // 20), interval="step",
    )  # fmt: skip
    row = {"arm": arm, "seed": number, "rate": lr, "first": loss.values[:10], **score(net, pair(scenes(arm, split)))}
    if split == "test" and arm in (ARMS[1], ARMS[4]):
        row["slid"] = slid(net)
    return row


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return train(ARMS[1], 0, 3e-3, "dev", steps=steps)["first"]


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        trials = [pool.submit(train, arm, SEED_OF_THE_RATE, lr, "dev") for arm in ARMS for lr in RATES]
        tried = [trial.result() for trial in trials]
        best = {arm: max((r for r in tried if r["arm"] == arm), key=lambda r: r["right"])["rate"] for arm in ARMS}
        runs = [pool.submit(train, arm, number, best[arm], "test") for arm in ARMS for number in SEEDS]
        return {"runs": [one.result() for one in runs], "rates": tried, "seeds": list(SEEDS)}
