"""Time dlref against torch's own operation in one run, alternately, and print the median of the ratios.

Machines are noisy, so only ratios are printed: each pair is timed back to back, many times; a slow moment hits both.
Beside dlref stand the ways of two other books, written anew from their formulas, on sizes that they can bear. Rows with
a ceiling say whether it holds, with 15% slack.
"""

import argparse
import platform
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from gensim.models import Word2Vec
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dlref import interpretation
from dlref.convnets import (
    avg_pool2d,
    conv2d,
    conv_transpose2d,
    efficientnet_lite0,
    interpolate,
    lenet5,
    max_pool2d,
    vgg16,
)
from dlref.detection import box_iou, fully_convolutional, grid_targets, nms, sliding_windows
from dlref.optimization import SGD, Adagrad, Adam, AdamW, Momentum, Nesterov, RMSProp
from dlref.train import fit
from dlref.training import BatchNorm1d, BatchNorm2d, clip_grad_norm_, clip_grad_value_, normalize
from dlref.words import (
    context_pairs,
    cooccurrences,
    keep_probability,
    negative_sampling_loss,
    noise_distribution,
    subsample,
    train_word2vec,
)

SLACK = 1.15
CEILINGS = {
    "conv2d 3 x 3": 2.0,
    "conv2d 3 x 3, stride 2": 2.5,
    "conv2d 3 x 3, depthwise": 2.5,
    "max_pool2d 2 x 2": 1.5,
    "BatchNorm2d, 32 x 32 x 64 x 64": 1.5,
    "BatchNorm1d, 256 x 512": 2.0,
    "fit, 20-64-3, batches of 32, to a plain loop": 1.2,
    "cooccurrences of 25,000 words, to loops": 0.05,
    "train_word2vec on 25,000 words, to gensim": 5.0,
}
"""What dlref may take at most, times torch."""

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
        "BatchNorm2d, 32 x 32 x 64 x 64": norm((BatchNorm2d, nn.BatchNorm2d), torch.randn(32, 32, 64, 64)),
        "clip_grad_norm_, 1e+07": lambda: (clip(clip_grad_norm_), clip(utils.clip_grad_norm_)),
        "clip_grad_value_, 1e+07": lambda: (clip(clip_grad_value_), clip(utils.clip_grad_value_)),
    }


def maps() -> dict[str, Pair]:
    """What it takes to explain an answer, beside one forward pass of the same picture."""
    net = efficientnet_lite0().eval()
    x = torch.rand(1, 3, 112, 112)

    def forward() -> object:
        with torch.no_grad():
            return net(x)

    ways = {
        "input_gradient": partial(interpretation.input_gradient, net, x, 0),
        "guided_backpropagation": partial(interpretation.guided_backpropagation, net, x, 0),
        "grad_cam": partial(interpretation.grad_cam, net, x, 0, "features.8"),
        "smooth_grad, 10 copies": partial(interpretation.smooth_grad, net, x, 0, stdevs=0.1, nt_samples=10),
        "integrated_gradients, 10 steps": partial(interpretation.integrated_gradients, net, x, 0, n_steps=10),
        "occlusion, 16 windows": partial(interpretation.occlusion, net, x, 0, window=28, stride=28),
    }
    return {f"{name}, to a forward pass": lambda way=way: (way, forward) for name, way in ways.items()}


def pictures() -> dict[str, Pair]:
    """What it takes to make or change a picture, beside one forward pass of the same size."""
    net = efficientnet_lite0().eval().requires_grad_(False)
    vgg = nn.Sequential(*vgg16().features[:3]).eval().requires_grad_(False)
    x, answer = torch.rand(1, 3, 112, 112), torch.tensor([0])
    kept = interpretation.layer_outputs(net, x, ["features.4"])["features.4"]
    ten = {"optimizer": partial(torch.optim.Adam, lr=0.05), "steps": 10}
    ball = {"radius": 0.03, "step_size": 0.01, "steps": 10}
    layers = {"content_layer": "2", "style_layers": ["0", "1", "2"], "alpha": 1.0, "beta": 1.0}

    def asked(model: nn.Module) -> Callable[[], object]:
        def forward() -> object:
            with torch.no_grad():
                return model(x)

        return forward

    ways = {
        "optimize_image, 10 steps": partial(interpretation.optimize_image, lambda z: net(z)[:, 0], x, **ten),
        "feature_inversion at part 4, 10 steps": partial(
            interpretation.feature_inversion, net, "features.4", kept, x, **ten
        ),
        "deep_dream of part 4, 4 octaves of 10 steps": partial(interpretation.deep_dream, net, x, "features.4"),
        "fgsm": partial(interpretation.fgsm, net, x, answer, epsilon=0.03),
        "pgd, 10 steps": partial(interpretation.pgd, net, x, answer, **ball),
    }
    found = {f"{name}, to a forward pass": lambda way=way: (way, asked(net)) for name, way in ways.items()}
    transfer = partial(interpretation.style_transfer, vgg, x, x, x, **layers, **ten)
    return found | {"style_transfer, 10 steps, to a forward pass": lambda: (transfer, asked(vgg))}


def windows() -> dict[str, Pair]:
    """289 windows of 32 x 32 cut out of a picture of 96 x 96, beside one pass over it."""
    net = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 15),
    ).eval()  # fmt: skip
    wide, x = fully_convolutional(net, (3, 32, 32)), torch.rand(1, 3, 96, 96)

    def one_by_one() -> torch.Tensor:
        with torch.no_grad():
            return net(sliding_windows(x, 32, 4).reshape(-1, 3, 32, 32))

    def at_once() -> torch.Tensor:
        with torch.no_grad():
            return wide(x)

    return {"windows one by one, to one pass": lambda: (one_by_one, at_once)}


def detectors() -> dict[str, Pair]:
    """Suppression of 1000 boxes beside their overlaps alone; grid targets of 256 pictures beside one by one."""
    low = 200 * torch.rand(1000, 2)
    boxes, scores = torch.cat((low, low + 5 + 40 * torch.rand(1000, 2)), 1), torch.rand(1000)
    pictures = [4 + 40 * torch.rand(8, 2).repeat(1, 2) + torch.tensor([-3.0, -3, 3, 3]) for _ in range(256)]
    labels = [torch.randint(0, 10, (8,)) for _ in pictures]

    def targets(sets: list[torch.Tensor], names: list[torch.Tensor]) -> torch.Tensor:
        return grid_targets(sets, names, (64, 64), (8, 8), 10)

    def one_by_one() -> list[torch.Tensor]:
        return [targets([box], [label]) for box, label in zip(pictures, labels, strict=True)]

    return {
        "nms of 1000 boxes, to their IoU": lambda: (partial(nms, boxes, scores, 0.5), partial(box_iou, boxes, boxes)),
        "grid_targets of 256 pictures, to one by one": lambda: (partial(targets, pictures, labels), one_by_one),
    }


def counts() -> dict[str, Pair]:
    """Words near words in 1000 sentences of 25, beside Python's loops over the same; skip-gram to gensim."""
    weights = 1 / np.arange(1, 5001)
    sentences = list(np.random.default_rng(0).choice(5000, (1000, 25), p=weights / weights.sum()))
    lists = [sentence.tolist() for sentence in sentences]

    def loops() -> Counter:
        found: Counter = Counter()
        for sentence in lists:
            for t, word in enumerate(sentence):
                for s in range(max(0, t - 5), min(len(sentence), t + 6)):
                    if s != t:
                        found[word, sentence[s]] += 1
        return found

    words = [[f"w{number}" for number in sentence] for sentence in lists]
    settings = {"vector_size": 100, "window": 5, "negative": 5, "sample": 1e-3, "epochs": 1}

    def by_autograd() -> None:
        """The loop that one writes first: embeddings, the loss, backward, a step."""
        numbers = np.concatenate(sentences)
        occur = np.bincount(numbers, minlength=5000)
        pairs = context_pairs(subsample(sentences, keep_probability(occur)))
        centre, context = map(torch.from_numpy, pairs)
        u, v = nn.Embedding(5000, 100), nn.Embedding(5000, 100)
        optimizer = torch.optim.SGD([*u.parameters(), *v.parameters()], lr=0.025)
        noise = torch.from_numpy(noise_distribution(occur))
        for part in torch.randperm(len(centre)).split(1024):
            drawn = torch.multinomial(noise, 5 * len(part), replacement=True).view(-1, 5)
            h = u(centre[part])
            positive, negative = (h * v(context[part])).sum(1), (v(drawn) @ h[:, :, None])[..., 0]
            optimizer.zero_grad()
            negative_sampling_loss(positive, negative, reduction="sum").backward()
            optimizer.step()

    def by_gensim() -> Word2Vec:
        return Word2Vec(words, min_count=1, sg=1, workers=1, seed=1, **settings)

    return {
        "cooccurrences of 25,000 words, to loops": lambda: (partial(cooccurrences, sentences, 5000), loops),
        "train_word2vec on 25,000 words, to gensim": lambda: (
            partial(train_word2vec, sentences, 5000, **settings),
            by_gensim,
        ),
        "train_word2vec on 25,000 words, to autograd": lambda: (
            partial(train_word2vec, sentences, 5000, **settings),
            by_autograd,
        ),
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


def training() -> dict[str, Pair]:
    """`fit` against the loop over tensors that one writes by hand, and against the loop over a DataLoader."""
    x, y = torch.randn(3200, 20), torch.randint(3, (3200,))

    def model() -> tuple[nn.Module, torch.optim.Optimizer]:
        network = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
        return network, torch.optim.SGD(network.parameters(), lr=0.1)

    def ours() -> None:
        network, optimizer = model()
        fit(network, F.cross_entropy, (x, y), optimizer=optimizer, epochs=2, device=torch.device("cpu"))

    def by_hand(batches: Callable) -> Callable[[], None]:
        def run() -> None:
            network, optimizer = model()
            for _ in range(2):
                for inputs, targets in batches():
                    optimizer.zero_grad()
                    F.cross_entropy(network(inputs), targets).backward()
                    optimizer.step()

        return run

    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True)
    plain = by_hand(lambda: ((x[batch], y[batch]) for batch in torch.randperm(3200).split(32)))
    return {
        "fit, 20-64-3, batches of 32, to a plain loop": lambda: (ours, plain),
        "fit, 20-64-3, batches of 32, to a DataLoader's loop": lambda: (ours, by_hand(lambda: loader)),
    }


def books(compiled: bool) -> dict[str, Pair]:
    """The ways of Dive into Deep Learning and of labml's annotated implementations, to torch's."""
    x, w = torch.randn(1, 3, 16, 16), torch.randn(4, 3, 3, 3)
    maps = torch.randn(32, 32, 64, 64)

    def positions(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        """Window after window of every channel, as d2l has it."""
        planes = []
        for kernels in w:
            total: torch.Tensor | None = None
            for plane, kernel in zip(x[0], kernels, strict=True):
                K, L = kernel.shape
                rows = [
                    torch.stack([(plane[i : i + K, j : j + L] * kernel).sum() for j in range(plane.shape[1] - L + 1)])
                    for i in range(plane.shape[0] - K + 1)
                ]
                total = torch.stack(rows) if total is None else total + torch.stack(rows)
            planes.append(total)
        return torch.stack(planes)[None]

    def pooled(x: torch.Tensor) -> torch.Tensor:
        """Window after window, as d2l has it."""
        rows = [
            torch.stack([plane[i : i + 2, j : j + 2].max() for i in range(0, 16, 2) for j in range(0, 16, 2)])
            for plane in x[0]
        ]
        return torch.stack(rows).view(1, -1, 8, 8)

    def by_deviations(x: torch.Tensor) -> torch.Tensor:
        """Mean, then the mean of the squared deviations, as d2l has it."""
        mean = x.mean((0, 2, 3), keepdim=True)
        return (x - mean) / (((x - mean) ** 2).mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()

    def by_squares(x: torch.Tensor) -> torch.Tensor:
        """Mean of the squares less the squared mean, as labml has it."""
        flat = x.view(x.shape[0], x.shape[1], -1)
        mean, squares = flat.mean((0, 2)), (flat**2).mean((0, 2))
        normal = (flat - mean.view(1, -1, 1)) / (squares - mean**2 + 1e-5).sqrt().view(1, -1, 1)
        return normal.view(x.shape)

    def step(function: Callable, *tensors: torch.Tensor) -> Callable[[], object]:
        inputs = [t.clone().requires_grad_() for t in tensors]
        g = torch.ones_like(function(*inputs))
        return lambda: torch.autograd.grad(function(*inputs), inputs, g)

    def batch_norm(x: torch.Tensor) -> torch.Tensor:
        return F.batch_norm(x, None, None, training=True)

    def pool(x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 2)

    ways: dict[str, tuple[Callable, Callable, tuple[torch.Tensor, ...]]] = {
        "convolution, 3 x 16 x 16, d2l's way": (positions, F.conv2d, (x, w)),
        "convolution, 3 x 16 x 16, dlref": (conv2d, F.conv2d, (x, w)),
        "max pooling, 3 x 16 x 16, d2l's way": (pooled, pool, (x,)),
        "max pooling, 3 x 16 x 16, dlref": (lambda x: max_pool2d(x, 2), pool, (x,)),
        "batch norm, 32 x 32 x 64 x 64, d2l's way": (by_deviations, batch_norm, (maps,)),
        "batch norm, 32 x 32 x 64 x 64, labml's way": (by_squares, batch_norm, (maps,)),
        "batch norm, 32 x 32 x 64 x 64, dlref": (normalize, batch_norm, (maps,)),
    }
    pairs: dict[str, Pair] = {
        name: lambda a=a, b=b, t=t: (step(a, *t), step(b, *t)) for name, (a, b, t) in ways.items()
    }
    if compiled and shutil.which("g++"):
        for name, (a, b, t) in ways.items():
            if "16 x 16, d2l" not in name:  # thousands of operations: compiling them takes minutes
                pairs[f"{name}, both compiled"] = lambda a=a, b=b, t=t: (
                    step(torch.compile(a), *t),
                    step(torch.compile(b), *t),
                )
    return pairs


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
    parser.add_argument("--eager", action="store_true", help="leave out the rows that are compiled")
    options = parser.parse_args()
    torch.manual_seed(0)
    pairs = everything(options.size, options.batch, compiled=not options.eager)
    width = max(map(len, pairs))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"{'operation':<{width}}  to torch  quartiles      ceiling")
    for name, pair in pairs.items():
        median, low, high = ratio(*pair(), repeats=options.repeats)
        most = CEILINGS.get(name)
        held = "" if most is None else f"{most} {'holds' if median <= SLACK * most else 'BROKEN'}"
        print(f"{name:<{width}}  {median:>8.2f}  {low:.2f} ... {high:.2f}  {held}".rstrip(), flush=True)


def everything(size: int, batch: int, *, compiled: bool) -> dict[str, Pair]:
    """All rows of the table."""
    return (
        optimizers(size)
        | lenet()
        | layers()
        | maps()
        | pictures()
        | windows()
        | detectors()
        | counts()
        | convolutions(batch)
        | training()
        | books(compiled)
    )


if __name__ == "__main__":
    main()
