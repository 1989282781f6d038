"""Plain and residual networks of 8, 20 and 56 layers, each trained to the end of its schedule, three seeds.

The learning rate of each arm is the one that leaves the least training loss on a seed of its own: the question is
whether a network fits, so the rate is chosen for fitting. A larger and a smaller one were tried for every arm.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from dlref.convnets import SmallResNet, without_shortcuts
from dlref.data import digits
from dlref.device import seed
from dlref.optimization import Nesterov
from dlref.train import Noted, accuracy, evaluate, fit

EPOCHS, BATCH = 30, 64
DEPTHS = {8: 1, 20: 3, 56: 9}  # layers to blocks a stage
RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
TRIED_FIRST = (0.1, 0.03, 0.01)
SEEDS, SEED_OF_THE_RATE = (0, 1, 2), 100
PROCESSES = 2


def data() -> dict[str, np.ndarray]:
    """What the networks are trained and tested on."""
    split = digits(size=14)
    return {"x": split.x_train, "y": split.y_train, "x_test": split.x_test, "y_test": split.y_test}


def network(depth: int, number: int, *, shortcut: bool) -> nn.Module:
    """The plain network begins with the weights of the residual one, whose projections it lacks."""
    seed(number)
    net = SmallResNet(DEPTHS[depth], 8, in_channels=1)
    return net if shortcut else without_shortcuts(net)


def train(depth: int, number: int, lr: float, *, shortcut: bool, steps: int | None = None) -> dict[str, Any]:
    """One network, with the schedule of the paper: a tenth of the rate after half, and after three quarters."""
    torch.set_num_threads(1)
    arrays = {name: torch.tensor(value) for name, value in data().items()}
    train = arrays["x"][:, None], arrays["y"]
    net = network(depth, number, shortcut=shortcut)
    rule = Nesterov(net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(rule, [EPOCHS // 2, 3 * EPOCHS // 4])
    loss = Noted(F.cross_entropy)
    length: dict[str, Any] = {"epochs": EPOCHS} if steps is None else {"steps": steps}
    history = fit(net, loss, train, optimizer=rule, scheduler=schedule, batch_size=BATCH, seed=number, **length)
    found = evaluate(net, F.cross_entropy, train, metrics={"accuracy": accuracy}, batch_size=500)
    test = arrays["x_test"][:, None], arrays["y_test"]
    tested = evaluate(net, F.cross_entropy, test, metrics={"accuracy": accuracy}, batch_size=500)
    return {
        "depth": depth,
        "kind": "residual" if shortcut else "plain",
        "seed": number,
        "rate": lr,
        "loss": found["loss"],
        "error": 1 - found["accuracy"],
        "test error": 1 - tested["accuracy"],
        "curve": [round(value, 5) for value in history["loss"]],
        "first": loss.values[:10],
    }


def _job(arguments: tuple[int, int, float, bool]) -> dict[str, Any]:
    depth, number, lr, shortcut = arguments
    try:
        return train(depth, number, lr, shortcut=shortcut)
    except FloatingPointError as error:
        return {"depth": depth, "kind": "residual" if shortcut else "plain", "rate": lr, "diverged": str(error)}


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return train(20, 0, 0.1, shortcut=True, steps=steps)["first"]


def _best(tried: list[dict[str, Any]], depth: int, shortcut: bool) -> tuple[float, set[float]]:
    """The best rate of an arm, and which of its two neighbours it still has to be compared with."""
    own = [row for row in tried if (row["depth"], row["kind"]) == (depth, "residual" if shortcut else "plain")]
    rate = min((row for row in own if "loss" in row), key=lambda row: row["loss"])["rate"]
    place = RATES.index(rate)
    return rate, {*RATES[max(place - 1, 0) : place + 2]} - {row["rate"] for row in own}


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included."""
    arms = [(depth, shortcut) for depth in sorted(DEPTHS, reverse=True) for shortcut in (False, True)]
    trials = [(depth, SEED_OF_THE_RATE, lr, shortcut) for depth, shortcut in arms for lr in TRIED_FIRST]
    tried: list[dict[str, Any]] = []
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        while trials:
            tried += pool.map(_job, trials)
            trials = [
                (depth, SEED_OF_THE_RATE, lr, shortcut)
                for depth, shortcut in arms
                for lr in sorted(_best(tried, depth, shortcut)[1])
            ]
        best = {arm: _best(tried, *arm)[0] for arm in arms}
        runs = [(depth, number, best[depth, shortcut], shortcut) for depth, shortcut in arms for number in SEEDS]
        return {"runs": list(pool.map(_job, runs)), "rates": tried, "epochs": EPOCHS, "seeds": list(SEEDS)}
