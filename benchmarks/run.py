"""Time dlref against torch's own operation in one run, alternately, and print the median of the ratios.

Machines are noisy, so only ratios are printed: each pair is timed back to back, many times; a slow moment hits both.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from dlref.convnets import avg_pool2d, conv2d, conv_transpose2d, interpolate, lenet5, max_pool2d
from dlref.optimization import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSProp
from dlref.training import BatchNorm1d, BatchNorm2d, clip_grad_norm_, clip_grad_value_

Pair = Callable[[], tuple[Callable[[], object], Callable[[], object]]]  # made when its turn comes, for memory's sake


def optimizers(size: int) -> dict[str, Pair]:
    """A step on `size` parameters in 20 tensors, gradients in place."""

    def stepper(make: Callable) -> Callable[[], object]:
        parameters = [nn.Parameter(torch.randn(size // 20)) for _ in range(20)]
        for p in parameters:
            p.grad = torch.randn_like(p)
        optimizer = make(parameters)
        optimizer.step()  # makes the state
        return optimizer.step

    torchs = torch.optim
    rules = {
        "SGD": (SGD, torchs.SGD, {}, {}),
        "Momentum": (Momentum, torchs.SGD, {}, {"momentum": 0.9}),
        "Nesterov": (Nesterov, torchs.SGD, {}, {"momentum": 0.9, "nesterov": True}),
        "Adagrad": (Adagrad, torchs.Adagrad, {}, {}),
        "RMSProp": (RMSProp, torchs.RMSprop, {}, {}),
        "RMSProp, centred, with momentum": (RMSProp, torchs.RMSprop, *2 * ({"centered": True, "momentum": 0.9},)),
        "Adam": (Adam, torchs.Adam, {}, {}),
        "Adam, AMSGrad": (Adam, torchs.Adam, *2 * ({"amsgrad": True},)),
        "AdamW": (AdamW, torchs.AdamW, {}, {}),
    }
    pairs = {}
    for name, (kind, twin, ours, theirs) in rules.items():
        for decay in (0.0, 1e-4):
            common = {"lr": 1e-3, "weight_decay": decay}
            title = f"{name}{' with weight decay' if decay else ''} step, {size:.0e} parameters"
            makers = [lambda p, k=kind, s=ours | common: k(p, **s), lambda p, k=twin, s=theirs | common: k(p, **s)]
            pairs[title] = lambda makers=makers: (stepper(makers[0]), stepper(makers[1]))
    return pairs


def lenet() -> dict[str, Pair]:
    """LeNet-5 against the same layers in one plain nn.Sequential: what dlref's class adds."""
    ours = lenet5()
    plain = nn.Sequential(*ours.features, nn.Flatten(), *ours.classifier)
    x, y = torch.randn(64, 1, 28, 28), torch.randint(10, (64,))

    def forward(model: nn.Module) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return model(x)

        return run

    def backward(model: nn.Module) -> Callable[[], object]:
        def run() -> object:
            return F.cross_entropy(model(x), y).backward()

        return run

    return {
        "LeNet-5 forward, batch 64": lambda: (forward(ours), forward(plain)),
        "LeNet-5 forward and backward, batch 64": lambda: (backward(ours), backward(plain)),
    }


def layers() -> dict[str, Pair]:
    """Batch norm in training, and clipping of ten million gradients in 20 tensors."""

    def step(layer: nn.Module, x: torch.Tensor) -> Callable[[], object]:
        inputs, weight = x.clone().requires_grad_(), torch.randn_like(x)
        return lambda: (layer(inputs) * weight).sum().backward()

    def norm(kinds: tuple[type, type], x: torch.Tensor) -> Pair:
        return lambda: (step(kinds[0](x.shape[1]), x), step(kinds[1](x.shape[1]), x))

    def clip(function: Callable) -> Callable[[], object]:
        parameters = [nn.Parameter(torch.zeros(500_000)) for _ in range(20)]
        for p in parameters:
            p.grad = torch.randn_like(p)
        return lambda: function(parameters, 1.0)

    utils = nn.utils
    return {
        "BatchNorm1d, 256 x 512": norm((BatchNorm1d, nn.BatchNorm1d), torch.randn(256, 512)),
        "BatchNorm2d, 32 x 64 x 32 x 32": norm((BatchNorm2d, nn.BatchNorm2d), torch.randn(32, 64, 32, 32)),
        "clip_grad_norm_, 1e+07": lambda: (clip(clip_grad_norm_), clip(utils.clip_grad_norm_)),
        "clip_grad_value_, 1e+07": lambda: (clip(clip_grad_value_), clip(utils.clip_grad_value_)),
    }


def convolutions(batch: int) -> dict[str, Pair]:
    """Forward and backward on images of 64 x 64 with 32 channels."""
    x = torch.randn(batch, 32, 64, 64)

    def step(function: Callable, tensors: list[torch.Tensor], settings: dict) -> Callable[[], object]:
        inputs = [t.clone().requires_grad_() for t in tensors]
        with torch.no_grad():
            g = torch.randn_like(function(*inputs, **settings))
        return lambda: torch.autograd.grad(function(*inputs, **settings), inputs, g)

    def pair(ours: Callable, theirs: Callable, *weight: int, **settings: object) -> Pair:
        tensors = [x, torch.randn(weight)] if weight else [x]
        return lambda: (step(ours, tensors, settings), step(theirs, tensors, settings))

    kinds = {
        "conv2d 3 x 3": pair(conv2d, F.conv2d, 32, 32, 3, 3, padding=1),
        "conv2d 3 x 3, stride 2": pair(conv2d, F.conv2d, 32, 32, 3, 3, padding=1, stride=2),
        "conv2d 3 x 3, dilation 2": pair(conv2d, F.conv2d, 32, 32, 3, 3, padding=2, dilation=2),
        "conv2d 3 x 3, 4 groups": pair(conv2d, F.conv2d, 32, 8, 3, 3, padding=1, groups=4),
        "conv2d 3 x 3, depthwise": pair(conv2d, F.conv2d, 32, 1, 3, 3, padding=1, groups=32),
        "conv_transpose2d 3 x 3": pair(conv_transpose2d, F.conv_transpose2d, 32, 32, 3, 3, padding=1),
        "conv_transpose2d 4 x 4, stride 2": pair(
            conv_transpose2d, F.conv_transpose2d, 32, 32, 4, 4, padding=1, stride=2
        ),
        "max_pool2d 2 x 2": pair(max_pool2d, F.max_pool2d, kernel_size=2),
        "avg_pool2d 2 x 2": pair(avg_pool2d, F.avg_pool2d, kernel_size=2),
        "interpolate, nearest": pair(interpolate, F.interpolate, scale_factor=2.0),
    }
    for align in (False, True):
        name = f"interpolate, bilinear, corners {'' if align else 'not '}aligned"
        kinds[name] = pair(interpolate, F.interpolate, scale_factor=2.0, mode="bilinear", align_corners=align)
    return kinds


def ratio(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median and quartiles of ours over theirs, timed alternately."""
    ratios = []
    for i in range(repeats + 3):
        times = []
        for function in (ours, theirs) if i % 2 else (theirs, ours):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        if i >= 3:  # the first few warm up
            ratios.append(times[0] / times[1] if i % 2 else times[1] / times[0])
    low, median, high = statistics.quantiles(ratios, n=4)
    return median, low, high


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000_000, help="parameters of the optimisers' model")
    parser.add_argument("--batch", type=int, default=32, help="images of the convolutions")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.manual_seed(0)
    pairs = optimizers(options.size) | lenet() | layers() | convolutions(options.batch)
    width = max(map(len, pairs))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"{'operation':<{width}}  dlref / torch  quartiles")
    for name, pair in pairs.items():
        median, low, high = ratio(*pair(), repeats=options.repeats)
        print(f"{name:<{width}}  {median:>13.2f}  {low:.2f} ... {high:.2f}")


if __name__ == "__main__":
    main()
