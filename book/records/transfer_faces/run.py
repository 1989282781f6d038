"""Who is this? Ten people from few careless photographs: from scratch, from ImageNet, from thirty other faces.

The photographs are the portraits, each turned, zoomed, shifted, perhaps mirrored and lit from a side, once and for all.
Each seed draws ten people for the target task; the thirty others are the source of the network that was trained on
faces. Of each of the ten, some portraits are for training, two are the dev set and three the test set (five
photographs of each of these). What an arm has to choose, it chooses on the dev set of a seed of its own; a larger and a
smaller rate were tried for every arm that is trained. All arms see new distortions of their training photographs.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn
from torch.nn import functional as F

from dlref.convnets import pretrained_lite0, replace_head
from dlref.data import faces
from dlref.device import seed
from dlref.optimization import Adam

SIZES = (1, 2, 5)  # photographs of each person to train on
SEEDS, SEED_OF_THE_CHOICE = (0, 1, 2, 3, 4), 100
PIXELS = {"ImageNet": 96, "faces": 32, "scratch": 32}  # rows and columns that a network gets
STEPS = {"from scratch": 1500, "ImageNet, fine-tuned": 40}
BATCH = {"from scratch": 32, "ImageNet, fine-tuned": 20}
SOURCE_STEPS, SOURCE_RATE = 1500, 3e-3
RATES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
TRIED_FIRST = {"ImageNet, fine-tuned": (3e-5, 1e-4, 3e-4), "from scratch": (1e-3, 3e-3, 1e-2)}
CHEAP = ("nearest neighbour, pixels", "ridge, pixels", "ImageNet, frozen", "faces, frozen")
COPIES = 8  # distortions of each training photograph for an arm without a network of its own
PENALTIES = 10.0 ** np.arange(-1, 5)
PROCESSES = 2


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and tested on."""
    return {"images": faces().images, "person": faces().person}


def distorted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turned by up to 30 degrees, zoomed, shifted, perhaps mirrored, and lit from the left or the right."""

    def drawn(low: float, high: float) -> Tensor:
        return torch.rand(len(images), generator=generator) * (high - low) + low

    angle, zoom = torch.deg2rad(drawn(-30, 30)), drawn(0.8, 1.5)
    mirror = torch.where(drawn(0, 1) < 0.5, 1.0, -1.0)
    rows = [
        torch.stack([zoom * angle.cos() * mirror, -zoom * angle.sin(), drawn(-0.25, 0.25)], 1),
        torch.stack([zoom * angle.sin() * mirror, zoom * angle.cos(), drawn(-0.25, 0.25)], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False, padding_mode="border")
    gain, slope = drawn(0.5, 1.4)[:, None, None, None], drawn(-0.4, 0.4)[:, None, None, None]
    light = gain * (1 + slope * torch.linspace(-1, 1, images.shape[3]))
    return (moved * light).clamp(0, 1)


@cache
def photographs() -> Tensor:
    """Five of each portrait, (5, 400, 1, 96, 96); an arm is trained on the first."""
    images = resized(torch.tensor(faces().images)[:, None], 96)
    generator = torch.Generator().manual_seed(1)
    return torch.stack([distorted(images, generator) for _ in range(5)])


def resized(images: Tensor, side: int) -> Tensor:
    """Grey images at so many rows and columns."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


@cache
def split(number: int, size: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The ten people of the target, and which portraits are for training, for choosing and for the test."""
    rng = np.random.default_rng(number)
    ten = np.sort(rng.permutation(40)[:10])
    rank = np.concatenate([rng.permutation(10) for _ in range(40)])
    inside = np.isin(faces().person, ten)
    parts = {"train": rank < size, "dev": (rank >= 5) & (rank < 7), "test": rank >= 7}
    return ten, {name: np.flatnonzero(inside & part) for name, part in parts.items()}


def views(number: int, size: int, part: str) -> tuple[Tensor, Tensor]:
    """Photographs and labels 0 to 9: the first of each portrait for training, all five otherwise."""
    ten, parts = split(number, size)
    images = photographs()[: 1 if part == "train" else 5, parts[part]]
    labels = torch.tensor(np.searchsorted(ten, faces().person[parts[part]]))
    return images.flatten(0, 1), labels.repeat(len(images))


def small_network(classes: int) -> nn.Sequential:
    """Three convolutions with 16, 32 and 64 filters, each with batch norm, ReLU and pooling."""
    layers: list[nn.Module] = []
    for channels, out in ((1, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(1024, classes))


def prepared(images: Tensor, source: str) -> Tensor:
    """What a network is given."""
    small = resized(images, PIXELS[source])
    return ((small * 255 - 127) / 128).repeat(1, 3, 1, 1) if source == "ImageNet" else (small - 0.4) / 0.2


def learn(
    net: nn.Module, x: Tensor, y: Tensor, source: str, lr: float, length: int, steps: int, batch: int, number: int
) -> list[float]:
    """Steps on new distortions; the rate falls to zero along half a cosine. The losses, one a step."""
    rule = Adam(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(rule, length)
    generator = torch.Generator().manual_seed(number)
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=generator)
        loss = F.cross_entropy(net(prepared(distorted(x[chosen], generator), source)), y[chosen])
        rule.zero_grad()
        loss.backward()
        rule.step()
        schedule.step()
        losses.append(round(loss.item(), 6))
    return losses


@cache
def source_network(number: int) -> nn.Sequential:
    """Trained to tell the thirty people apart that are not in the target, from all their photographs."""
    seed(number)
    net = small_network(30)
    ten, _ = split(number, 1)
    others = np.flatnonzero(~np.isin(faces().person, ten))
    labels = torch.tensor(np.unique(faces().person[others], return_inverse=True)[1])
    images = resized(photographs()[0, others], 48)
    learn(net, images, labels, "faces", SOURCE_RATE, SOURCE_STEPS, SOURCE_STEPS, 32, number)
    net.eval()
    return net


def features(images: Tensor, source: str, number: int) -> np.ndarray:
    """The numbers before the last layer."""
    if source == "pixels":
        return resized(images, 32).flatten(1).numpy()
    net = pretrained_lite0() if source == "ImageNet" else source_network(number)[:-1]
    with torch.no_grad():
        if source == "faces":
            return net(prepared(images, source)).numpy()
        parts = prepared(images, source).split(50)
        return torch.cat([net.features(part).mean((2, 3)) for part in parts]).numpy()


def classified(arm: str, number: int, size: int) -> dict[str, Any]:
    """An arm without a network of its own; its penalty is the best on the dev set of this seed."""
    source = arm.split(", ")[1] if "pixels" in arm else arm.split(", ")[0]
    generator = torch.Generator().manual_seed(number)
    shown, labels = views(number, size, "train")
    copies = torch.cat([shown, *(distorted(shown, generator) for _ in range(COPIES))])
    x, y = features(copies, source, number), labels.repeat(COPIES + 1).numpy()
    centre, deviation = x.mean(0), x.std()
    held = {part: views(number, size, part) for part in ("dev", "test")}
    inputs = {part: (features(v[0], source, number) - centre) / deviation for part, v in held.items()}
    makers: dict[str, list[Callable[[], Any]]] = {
        "nearest neighbour": [lambda: KNeighborsClassifier(1)],
        "ridge": [lambda a=a: RidgeClassifier(alpha=a) for a in PENALTIES],
        "frozen": [lambda a=a: LogisticRegression(C=1 / a, max_iter=500) for a in PENALTIES[:4]],
    }
    kind = "frozen" if "frozen" in arm else arm.split(", ")[0]
    models = [make().fit((x - centre) / deviation, y) for make in makers[kind]]

    def error(model: Any, part: str) -> float:
        return float((model.predict(inputs[part]) != held[part][1].numpy()).mean())

    best = min(models, key=lambda model: error(model, "dev"))
    return {
        "dev error": error(best, "dev"),
        "test error": error(best, "test"),
        "model": best,
        "scale": (centre, deviation),
    }


def start(arm: str, number: int, size: int) -> tuple[nn.Module, str]:
    """The network of an arm before it is trained; fine-tuning begins with the head of the frozen arm."""
    if arm == "from scratch":
        seed(number)
        return small_network(10), "scratch"
    found = classified("ImageNet, frozen", number, size)
    net = replace_head(pretrained_lite0(), 10)
    head = net.classifier[1]
    centre, deviation = (torch.tensor(value) for value in found["scale"])
    weight, bias = (torch.tensor(v, dtype=torch.float32) for v in (found["model"].coef_, found["model"].intercept_))
    with torch.no_grad():
        head.weight.copy_(weight / deviation)
        head.bias.copy_(bias - head.weight @ centre)
    return net.eval(), "ImageNet"


def train(arm: str, number: int, size: int, lr: float, *, steps: int | None = None) -> dict[str, Any]:
    """One network. Batch norm of a network that was trained before keeps its numbers."""
    torch.set_num_threads(1)
    net, source = start(arm, number, size)
    net.train(arm == "from scratch")
    shown, labels = views(number, size, "train")
    x = shown if source == "ImageNet" else resized(shown, 48)
    length = STEPS[arm]
    losses = learn(net, x, labels, source, lr, length, length if steps is None else steps, BATCH[arm], number)
    net.eval()
    found: dict[str, Any] = {"arm": arm, "size": size, "seed": number, "rate": lr, "first": losses[:10]}
    with torch.no_grad():
        for part in ("train", "dev", "test"):
            images, truth = views(number, size, part)
            scores = net(prepared(images, source))
            found[f"{part} error"] = (scores.argmax(1) != truth).float().mean().item()
            found[f"{part} loss"] = F.cross_entropy(scores, truth).item()
    return found


def _job(arguments: tuple[str, int, int, float | None]) -> dict[str, Any]:
    arm, number, size, lr = arguments
    torch.set_num_threads(1)
    if lr is not None:
        return train(arm, number, size, lr)
    found = classified(arm, number, size)
    return {"arm": arm, "size": size, "seed": number} | {key: found[key] for key in ("dev error", "test error")}


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return train("from scratch", 0, 2, 3e-3, steps=steps)["first"]


def _best(tried: list[dict[str, Any]], arm: str, size: int) -> tuple[float, set[float]]:
    """The best rate of an arm, and which of its two neighbours it still has to be compared with."""
    own = [row for row in tried if (row["arm"], row["size"]) == (arm, size)]
    rate = min(own, key=lambda row: (row["dev error"], np.nan_to_num(row["dev loss"], nan=np.inf)))["rate"]
    place = RATES.index(rate)
    return rate, {*RATES[max(place - 1, 0) : place + 2]} - {row["rate"] for row in own}


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included."""
    arms = [(arm, size) for arm in TRIED_FIRST for size in SIZES]
    trials = [(arm, SEED_OF_THE_CHOICE, size, lr) for arm, size in arms for lr in TRIED_FIRST[arm]]
    tried: list[dict[str, Any]] = []
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        while trials:
            tried += pool.map(_job, trials)
            trials = [
                (arm, SEED_OF_THE_CHOICE, size, lr) for arm, size in arms for lr in sorted(_best(tried, arm, size)[1])
            ]
        jobs: list[tuple[str, int, int, float | None]]
        jobs = [(arm, number, size, _best(tried, arm, size)[0]) for arm, size in arms for number in SEEDS]
        jobs += [(arm, number, size, None) for arm in CHEAP for size in SIZES for number in SEEDS]
        return {"runs": list(pool.map(_job, jobs)), "rates": tried, "sizes": list(SIZES), "seeds": list(SEEDS)}
