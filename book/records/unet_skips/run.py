"""U-Net on degraded slices of a brain: with skips that are concatenated, that are added, and without.

Each arm has its own rate, the one of four whose network of a seed of its own has the best mean IoU on dev slices. A
table from brightness to class and a network that never pools stand beside them.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_cdt
from torch import Tensor, nn
from torch.nn import functional as F

from dlref.data import brain_slices, brain_windows
from dlref.detection import UNet, class_iou, mean_iou, pixel_counts
from dlref.device import seed
from dlref.optimization import Adam, CosineDecay
from dlref.train import Noted, fit, predict

WINDOWS, STEPS, BATCH, WIDTH, DEPTH = 800, 250, 16, 8, 3
RATES, SEED_OF_THE_RATE, SEEDS = (1e-3, 3e-3, 1e-2, 3e-2), 100, (0, 1, 2, 3, 4)
ARMS = ("concatenate", "add", "none", "no pooling")
FAR = 4  # pixels from the nearest pixel of another class; farther ones are counted together
PROCESSES = 2


@cache
def windows() -> tuple[Tensor, Tensor]:
    """Squares to train on."""
    found = brain_windows(WINDOWS)
    return torch.tensor(found.images), torch.tensor(found.masks)


@cache
def slices(split: str) -> tuple[Tensor, Tensor]:
    """Whole slices."""
    found = brain_slices(split=split)
    return torch.tensor(found.images), torch.tensor(found.masks)


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and tested on."""
    sets = {"windows": windows(), "dev": slices("dev"), "test": slices("test")}
    return {f"{name} {k}": part.numpy() for name, pair in sets.items() for k, part in enumerate(pair)}


def network(arm: str) -> nn.Module:
    """An untrained network of an arm. The one without poolings costs about as many multiplications as a U-Net."""
    if arm == "no pooling":
        layers: list[nn.Module] = []
        for given, wide in zip((1, *[16] * 5), [16] * 6, strict=True):
            layers += [nn.Conv2d(given, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(16, 3, 1))
    return UNet(1, 3, width=WIDTH, depth=DEPTH, skips=arm, padding=True, norm=True)


def trained(arm: str, number: int, lr: float, steps: int = STEPS) -> tuple[nn.Module, list[float]]:
    """A network, and the losses of its first steps."""
    torch.set_num_threads(1)
    seed(number)
    net = network(arm)
    noted, adam = Noted(F.cross_entropy), Adam(net.parameters(), lr=lr)
    fit(
        net, noted, windows(), optimizer=adam, batch_size=BATCH, steps=steps, seed=number,
        scheduler=CosineDecay(adam, T_max=STEPS, warmup=STEPS // 20), interval="step",
    )  # fmt: skip
    return net, noted.values[:10]


def wrong_by_distance(made: Tensor, true: Tensor) -> list[list[int]]:
    """Pixels in the head, and those that are wrong, by the distance from the nearest pixel of another class."""
    count = np.zeros((2, FAR + 1), int)
    for m, t in zip(made.numpy(), true.numpy(), strict=True):
        distance = np.full(t.shape, 10**6)
        for label in range(3):
            distance = np.where(t == label, np.asarray(distance_transform_cdt(t == label, "chessboard")), distance)
        inside = (t > 0) | (distance <= FAR)  # not the empty space around the head
        far = np.clip(distance[inside], 1, FAR + 1) - 1
        count[0] += np.bincount(far, minlength=FAR + 1)
        count[1] += np.bincount(far[(m != t)[inside]], minlength=FAR + 1)
    return count.tolist()


def measures(made: Tensor, true: Tensor) -> dict[str, Any]:
    """How well masks agree."""
    counts = pixel_counts(made, true, 3)
    return {
        "mean IoU": mean_iou(counts), "IoU": class_iou(counts).tolist(),
        "accuracy": float(counts.diagonal().sum() / counts.sum()), "by distance": wrong_by_distance(made, true),
    }  # fmt: skip


def train(arm: str, number: int, lr: float, split: str) -> dict[str, Any]:
    """One network, and how good its masks are."""
    net, first_losses = trained(arm, number, lr)
    images, masks = slices(split)
    made = predict(net, images, batch_size=4).argmax(1)
    return {"arm": arm, "seed": number, "rate": lr, "first": first_losses} | measures(made, masks)


def by_brightness() -> dict[str, Any]:
    """The class that is most frequent among the training pixels of a brightness."""
    images, masks = windows()
    images_of_test, masks_of_test = slices("test")
    edges = torch.linspace(-0.4, 2.2, 261)
    counts = torch.zeros(len(edges) + 1, 3)
    counts.index_put_((torch.bucketize(images[:, 0], edges), masks), torch.ones(()), accumulate=True)
    return measures(counts.argmax(1)[torch.bucketize(images_of_test[:, 0], edges)], masks_of_test)


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return trained(ARMS[0], 0, 1e-2, steps=steps)[1]


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        trials = [pool.submit(train, arm, SEED_OF_THE_RATE, lr, "dev") for arm in ARMS for lr in RATES]
        tried = [trial.result() for trial in trials]
        best = {arm: max((r for r in tried if r["arm"] == arm), key=lambda r: r["mean IoU"])["rate"] for arm in ARMS}
        runs = [pool.submit(train, arm, number, best[arm], "test") for arm in ARMS for number in SEEDS]
        return {
            "runs": [one.result() for one in runs], "rates": tried, "seeds": list(SEEDS),
            "by brightness": by_brightness(),
            "parameters": {arm: sum(p.numel() for p in network(arm).parameters()) for arm in ARMS},
        }  # fmt: skip
