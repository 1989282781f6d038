"""What other people's code may do with every public name: one list of contracts for all of them.

The ceiling is what torch's own part does. This file runs in a process of its own, without the import hook that
checks shapes (torch.compile stumbles over it): tests/test_contracts_run.py starts it.

A new public layer, function on tensors, optimiser, schedule or estimator must get a factory of examples here; until
then `test_every_public_name_has_its_example` fails.
"""

import copy
import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import base, linear_model, metrics, model_selection
from sklearn.base import is_classifier
from torch import Tensor, nn
from torch.nn import functional as F

import dlref
from dlref import (
    convnets,
    detection,
    generalization,
    interpretation,
    neurons,
    optimization,
    strategy,
    train,
    training,
    words,
)

DOUBLE = torch.float64

# torch itself compiles its forward-mode formulas so, at the first use of them
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


@dataclass
class Example:
    """Ours, torch's twin if there is one, and what they are given."""

    ours: Callable
    inputs: Callable[[], tuple[Tensor, ...]]
    twin: Callable | None = None
    lacks: dict[str, str] = field(default_factory=dict)  # contract -> why it does not hold
    modes: tuple[bool, ...] = (True,)  # training, evaluation


def images(*shape: int, count: int = 1) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: tuple(torch.randn(shape) for _ in range(count))


def layer(kind: type, torchs: type | None, shape: tuple[int, ...], *arguments, **settings) -> Example:
    options = {name: settings.pop(name) for name in ("lacks", "modes") if name in settings}
    twin = None if torchs is None else partial(torchs, *arguments, **settings)
    return Example(partial(kind, *arguments, **settings), images(*shape), twin, **options)


def of(function: Callable, twin: Callable | None, *shapes: tuple[int, ...], lacks=None, **settings) -> Example:
    inputs = lambda: tuple(torch.randn(shape) for shape in shapes)  # noqa: E731
    bound = None if twin is None else partial(twin, **settings)
    return Example(partial(function, **settings), inputs, bound, lacks or {})


RANDOM = {
    "gradgrad": "its output is drawn anew at each call",
    "half": "other draws in another type",
    "autocast": "other draws in another type",
    "vmap": "draws of its own for each example",
}
SAMPLED = {
    "gradgrad": "torch's grid_sample has one derivative, and none forwards",
    "vmap": "torch's affine_grid has no rule for it",
}
LINES = {"unbatched": "three axes are lines to torch, which are not resized here"}
PICTURE = (4, 3, 6, 5)
C, V, T, G, O = convnets.convolution, convnets.convolution_variants, training, generalization, optimization


class Uncut(detection.TwoStageDetector):
    """Both stages in one tensor; the second looks at the whole map, since cutting has no fixed size."""

    def forward(self, images: Tensor) -> Tensor:
        look = super().forward(images)
        hidden = self.hidden(look.features)
        return torch.cat((look.answers.flatten(1), self.name(hidden), self.correct(hidden)), 1)


class Joined(strategy.MultiTask):
    """The outputs of all tasks in one tensor, which is what the contracts look at."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(list(super().forward(x).values()), -1)


class Walked(words.HierarchicalSoftmax):
    """The paths of given words; a hidden vector is what varies."""

    def forward(self, hidden: Tensor) -> Tensor:
        return super().forward(hidden, torch.arange(len(hidden), device=hidden.device) % self.num_embeddings)


class Moved(words.SkipGram):
    """Given words, their vectors moved by what varies."""

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.input(torch.arange(len(x), device=x.device) % self.num_embeddings) + x)


class MovedBag(words.CBOW):
    """Given contexts, their mean moved by what varies."""

    def forward(self, x: Tensor) -> Tensor:
        context = torch.arange(3, device=x.device).expand(len(x), 3) - 1
        return self.output(self.hidden(context) + x)


LAYERS = {
    "HierarchicalSoftmax": [Example(partial(Walked, np.array([8, 4, 2, 1, 1]), 3), images(4, 3))],
    "SkipGram": [Example(partial(Moved, 5, 3), images(4, 3))],
    "CBOW": [Example(partial(MovedBag, 5, 3, mode=mode), images(4, 3)) for mode in ("mean", "sum")],
    "TwoStageDetector": [
        Example(lambda: Uncut(2, torch.ones(2, 2), width=1, in_channels=1, hidden=3, output_size=1), images(4, 1, 8, 8))
    ],
    "UNet": [layer(detection.UNet, None, (2, 1, 8, 4), 1, 2, width=2, depth=2, padding=True, norm=True)],
    "MultiTask": [Example(lambda: Joined(nn.Linear(3, 4), {"a": nn.Linear(4, 2), "b": nn.Tanh()}), images(5, 3))],
    "Conv2d": [
        layer(
            C.Conv2d, nn.Conv2d, (2, 4, 7, 6), 4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2
        ),
        layer(C.Conv2d, nn.Conv2d, (2, 3, 5, 6), 3, 4, 3, padding="same", bias=False),
        layer(C.Conv2d, nn.Conv2d, (2, 4, 7, 6), 4, 8, 3, stride=2, groups=4),
    ],
    "ConvTranspose2d": [
        layer(
            V.ConvTranspose2d,
            nn.ConvTranspose2d,
            (2, 4, 3, 4),
            4,
            6,
            3,
            stride=2,
            padding=1,
            output_padding=1,
            groups=2,
        ),
    ],
    "MaxPool2d": [
        layer(C.MaxPool2d, nn.MaxPool2d, (2, 3, 7, 6), 2, ceil_mode=True),
        layer(C.MaxPool2d, nn.MaxPool2d, (2, 3, 7, 6), (3, 2), stride=(2, 1), padding=1, dilation=(1, 2)),
    ],
    "AvgPool2d": [
        layer(C.AvgPool2d, nn.AvgPool2d, (2, 3, 7, 6), (3, 2), stride=2, padding=1, ceil_mode=True),
        layer(C.AvgPool2d, nn.AvgPool2d, (2, 3, 7, 6), 3, padding=1, count_include_pad=False),
    ],
    "Upsample": [
        layer(V.Upsample, nn.Upsample, (2, 3, 4, 5), size=(6, 7), mode="bilinear", align_corners=True),
        layer(V.Upsample, nn.Upsample, (2, 3, 4, 5), scale_factor=2.0, lacks=LINES),
    ],
    "DepthwiseSeparable": [layer(V.DepthwiseSeparable, None, (2, 3, 6, 5), 3, 4, 3, padding=1)],
    "BatchNorm1d": [
        layer(T.BatchNorm1d, nn.BatchNorm1d, (5, 3), 3, modes=(True, False)),
        layer(T.BatchNorm1d, nn.BatchNorm1d, (4, 3, 5), 3, eps=0.1, momentum=None, modes=(True, False)),
    ],
    "BatchNorm2d": [
        layer(T.BatchNorm2d, nn.BatchNorm2d, PICTURE, 3, momentum=0.3, modes=(True, False)),
        layer(T.BatchNorm2d, nn.BatchNorm2d, PICTURE, 3, affine=False, track_running_stats=False, modes=(True, False)),
    ],
    "ProposalHead": [layer(detection.ProposalHead, None, (2, 3, 4, 5), 3, 2)],
    "Unit": [layer(detection.Unit, None, (4, 3))],
    "SimilarityHead": [
        Example(lambda kind=kind: detection.SimilarityHead(3, kind), lambda: tuple(torch.randn(2, 4, 3)))
        for kind in ("absolute", "squared", "chi_squared")
    ],
    "Siamese": [
        Example(
            lambda: detection.Siamese(nn.Linear(3, 4), detection.SimilarityHead(4)),
            lambda: tuple(torch.randn(2, 5, 3)),
        )
    ],
    "ReLU": [layer(T.ReLU, nn.ReLU, (4, 3, 5))],
    "LeakyReLU": [layer(T.LeakyReLU, nn.LeakyReLU, (4, 3, 5), negative_slope=0.2)],
    "PReLU": [layer(T.PReLU, nn.PReLU, (4, 3, 5), 3, init=0.1), layer(T.PReLU, nn.PReLU, (4, 3, 5))],
    "ELU": [layer(T.ELU, nn.ELU, (4, 3, 5), alpha=0.7)],
    "Dropout": [layer(G.Dropout, nn.Dropout, (4, 50), 0.3, lacks=RANDOM, modes=(True, False))],
    "Residual": [Example(lambda: T.Residual(nn.Linear(3, 3)), images(4, 3))],
    "TiedAutoencoder": [layer(G.TiedAutoencoder, None, (4, 6), 6, 2)],
    "Standardize": [Example(lambda: G.Standardize().fit(torch.arange(12.0).reshape(4, 3)), images(4, 3))],
    "RandomHorizontalFlip": [layer(G.RandomHorizontalFlip, None, PICTURE, lacks=RANDOM, modes=(True, False))],
    "RandomCrop": [
        layer(G.RandomCrop, None, PICTURE, 2, lacks={**RANDOM, "nan": "what is cut off is gone"}, modes=(True, False))
    ],
    "RandomAffine": [layer(G.RandomAffine, None, PICTURE, 10.0, 0.1, lacks=RANDOM, modes=(True, False))],
    "ColorJitter": [layer(G.ColorJitter, None, PICTURE, 0.3, 0.3, 0.3, lacks=RANDOM, modes=(True, False))],
    "BasicConv2d": [layer(convnets.BasicConv2d, None, (3, 3, 6, 5), 3, 4, 3, padding=1)],
    "Inception": [layer(convnets.Inception, None, (3, 4, 6, 5), 4, 2, 2, 3, 2, 3, 2)],
    "InceptionAux": [layer(convnets.InceptionAux, None, (3, 4, 6, 6), 4, 3, dropout=0.0)],
    "BasicBlock": [layer(convnets.BasicBlock, None, (3, 4, 6, 5), 4, 6, 2)],
    "Bottleneck": [layer(convnets.Bottleneck, None, (3, 4, 6, 5), 4, 2)],
}


def bn(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, True, 0.1, eps)


def multi_task(output: Tensor, target: Tensor) -> Tensor:
    return strategy.multi_task_loss(
        {"a": output[:, 0], "b": output[:, 1:]}, target, tasks=dict.fromkeys("ab", "number")
    )


def moments(x: Tensor) -> Tensor:
    return torch.stack(T.batch_moments(x))


def boxes(*counts: int) -> Callable[[], tuple[Tensor, ...]]:
    """Sets of boxes that have an area."""

    def some() -> tuple[Tensor, ...]:
        low = [3 * torch.rand(count, 2) for count in counts]
        return tuple(torch.cat((corner, corner + 0.5 + 2 * torch.rand_like(corner)), 1) for corner in low)

    return some


def localised(output: Tensor, *, loss: Callable) -> Tensor:
    """Losses of what a network says of pictures of which every third is empty."""
    box = torch.linspace(0.2, 0.8, 4, dtype=output.dtype, device=output.device)
    label = torch.tensor([0.0, 1.0, 0.0], dtype=output.dtype, device=output.device)
    present = (torch.arange(len(output), device=output.device) % 3 > 0).to(output.dtype)
    whole = torch.cat((torch.ones_like(box[:1]), box, label))
    found = loss(output, present[:, None] * whole)
    return torch.stack(found) if isinstance(found, tuple) else found


SINGLE = {"half": "areas of half precision are computed and given in single, as in torchvision"}
UNFOLDED = dict.fromkeys(("vmap", "jvp"), "torch's unfold has no rule for many gradients at once, and warns")
HIDDEN = {"nan": "a point that is NaN is one that cannot be seen"}


def gridded(output: Tensor) -> Tensor:
    """Losses of what a network says of a grid with an object in one cell of each picture."""
    target = torch.zeros_like(output[:, :, :, :1, :1])
    target[:, :, :7] = torch.tensor([1, 0.3, 0.6, 1.5, 0.8, 0, 1], dtype=output.dtype)[:, None, None]
    target = F.pad(target, (1, output.shape[4] - 2, 0, output.shape[3] - 1))
    return torch.stack(detection.grid_losses(output, target, (16, 24)))


def masked(output: Tensor, *, loss: Callable) -> Tensor:
    """A loss of a network's scores at each pixel, with a class for each."""
    number = torch.arange(output[:, 0].numel(), device=output.device)
    return loss(output, number.reshape(output[:, 0].shape) % output.shape[1])


def paired(distance: Tensor, *, loss: Callable) -> Tensor:
    """A loss of distances, every other pair of one person."""
    return loss(distance.abs(), torch.arange(len(distance), device=distance.device) % 2)


def sizes(*counts: int) -> Callable[[], tuple[Tensor, ...]]:
    """Widths and heights."""
    return lambda: tuple(0.5 + 2 * torch.rand(count, 2) for count in counts)


FUNCTIONS = {
    "shape_iou": [Example(detection.shape_iou, sizes(4, 3))],
    "grid_values": [of(detection.grid_values, None, (2, 1, 7, 2, 3), size=(16, 24))],
    "grid_losses": [of(gridded, None, (2, 1, 7, 2, 3))],
    "embedding_distances": [
        of(detection.embedding_distances, None, (5, 3), (4, 3)),
        of(detection.embedding_distances, None, (5, 3), (4, 3), squared=True),
    ],
    "negative_sampling_loss": [of(words.negative_sampling_loss, None, (4,), (4, 5))],
    "ranking_loss": [
        of(words.ranking_loss, None, (4, 3), (4, 3), reduction=reduction) for reduction in ("mean", "none")
    ],
    "contrastive_loss": [of(paired, None, (5,), loss=detection.contrastive_loss)],
    "triplet_loss": [
        of(detection.triplet_loss, None, (5, 3), (5, 3), (5, 3), reduction=reduction) for reduction in ("mean", "none")
    ],
    "anchor_boxes": [Example(partial(detection.anchor_boxes, (8, 12), (2, 3)), sizes(2))],
    "encode_boxes": [Example(detection.encode_boxes, boxes(5, 5))],
    "decode_boxes": [Example(detection.decode_boxes, lambda: (torch.randn(5, 4), *boxes(5)()))],
    "dice_loss": [of(masked, None, (2, 3, 4, 5), loss=detection.dice_loss)],
    "box_convert": [of(detection.box_convert, None, (2, 5, 4), in_fmt="xyxy", out_fmt="cxcywh")],
    "box_area": [Example(detection.box_area, boxes(5), lacks=SINGLE)],
    "clip_boxes_to_image": [Example(partial(detection.clip_boxes_to_image, size=(2, 3)), boxes(5))],
    "box_iou": [Example(detection.box_iou, boxes(5, 3), lacks=SINGLE)],
    "generalized_box_iou": [Example(detection.generalized_box_iou, boxes(5, 3), lacks=SINGLE)],
    "generalized_box_iou_loss": [
        Example(partial(detection.generalized_box_iou_loss, reduction=reduction), boxes(5, 5), lacks=SINGLE)
        for reduction in ("none", "mean")
    ],
    "localization_losses": [of(localised, None, (4, 8), loss=detection.localization_losses)],
    "localization_loss": [of(localised, None, (4, 8), loss=partial(detection.localization_loss, box_weight=3.0))],
    "landmark_loss": [of(detection.landmark_loss, None, (4, 3, 2), (4, 3, 2), lacks=HIDDEN)],
    "sliding_windows": [of(detection.sliding_windows, None, (2, 3, 6, 5), size=(3, 2), stride=2, lacks=UNFOLDED)],
    "window_boxes": [of(detection.window_boxes, None, (2, 4, 3, 2), size=8, stride=4, zoom=1.5)],
    "multi_task_loss": [of(multi_task, None, (5, 2), (5, 2))],
    "total_variation": [of(interpretation.total_variation, None, (2, 3, 4, 5))],
    "gram_matrix": [of(interpretation.gram_matrix, None, (2, 3, 4, 5))],
    "content_cost": [of(interpretation.content_cost, None, (2, 3, 4, 5), (2, 3, 4, 5))],
    "style_cost": [of(interpretation.style_cost, None, (2, 3, 4, 5), (2, 3, 6, 5))],
    "gaussian_blur": [of(interpretation.gaussian_blur, None, (2, 3, 6, 5), sigma=0.8)],
    "sum_distribution": [of(strategy.sum_distribution, None, (3, 4), (3, 5))],
    "conv2d": [of(C.conv2d, F.conv2d, (2, 4, 7, 6), (6, 2, 3, 2), (6,), stride=(2, 1), padding=(1, 0), groups=2)],
    "conv_transpose2d": [
        of(V.conv_transpose2d, F.conv_transpose2d, (2, 4, 3, 4), (4, 3, 3, 3), (3,), stride=2, padding=1)
    ],
    "max_pool2d": [of(C.max_pool2d, F.max_pool2d, (2, 3, 7, 6), kernel_size=(3, 2), stride=2)],
    "avg_pool2d": [of(C.avg_pool2d, F.avg_pool2d, (2, 3, 7, 6), kernel_size=(3, 2), stride=1, padding=1)],
    "interpolate": [
        of(V.interpolate, F.interpolate, (2, 3, 4, 5), size=(6, 3), mode="bilinear", align_corners=False),
        of(V.interpolate, F.interpolate, (2, 3, 4, 5), scale_factor=1.5, lacks=LINES),
    ],
    "toeplitz": [of(C.toeplitz, None, (2, 3, 2, 2), size=(4, 3))],
    "relu": [of(T.relu, F.relu, (3, 4))],
    "leaky_relu": [of(T.leaky_relu, F.leaky_relu, (3, 4), negative_slope=0.3)],
    "elu": [of(T.elu, F.elu, (3, 4), alpha=1.5)],
    "batch_moments": [Example(moments, images(4, 3, 5))],
    "normalize": [of(T.normalize, bn, (4, 3, 5), (3,), (3,), eps=1e-3)],
    "drop_units": [of(G.drop_units, F.dropout, (4, 50), p=0.3, lacks=RANDOM)],
    "ewma": [of(O.ewma, None, (2, 6), beta=0.7)],
    "soft_threshold": [of(G.soft_threshold, F.softshrink, (3, 4))],
    "l1_penalty": [Example(lambda *w: G.l1_penalty(w, 0.1), images(3, 4, count=2))],
    "l2_penalty": [Example(lambda *w: G.l2_penalty(w, 0.1), images(3, 4, count=2))],
    "affine_matrix": [Example(lambda d, s: G.affine_matrix(d, scale=s), images(3, count=2))],
    "transform": [
        Example(
            G.transform,
            lambda: (torch.randn(2, 3, 5, 5), torch.eye(2, 3) + 0.1 * torch.randn(2, 2, 3)),
            lacks=SAMPLED,
        )
    ],
}
"""Functions from tensors to a tensor."""
FUNCTIONS["soft_threshold"][0].ours = partial(G.soft_threshold, threshold=0.5)
FUNCTIONS["soft_threshold"][0].twin = partial(F.softshrink, lambd=0.5)

SMALL = {"num_classes": 5}
ARCHITECTURES = {
    "LeNet5": (convnets.LeNet5, (2, 1, 28, 28)),
    "AlexNet": (partial(convnets.AlexNet, **SMALL), (2, 3, 64, 64)),
    "AlexNet2012": (partial(convnets.AlexNet2012, **SMALL), (1, 3, 224, 224)),
    "VGG": (partial(convnets.VGG, (1, 1, 1, 1, 1), **SMALL), (2, 3, 32, 32)),
    "ResNet": (partial(convnets.ResNet, convnets.BasicBlock, (1, 1, 1, 1), **SMALL), (2, 3, 33, 33)),
    "SmallResNet": (partial(convnets.SmallResNet, 1, 4), (2, 3, 9, 9)),
    "GoogLeNet": (partial(convnets.GoogLeNet, aux_logits=False, **SMALL), (2, 3, 64, 64)),
    "MobileNetV1": (partial(convnets.MobileNetV1, width_mult=0.25, **SMALL), (2, 3, 64, 64)),
    "MobileNetV2": (partial(convnets.MobileNetV2, width_mult=0.25, **SMALL), (2, 3, 64, 64)),
    "EfficientNet": (partial(convnets.EfficientNet, 0.25, 0.5, stochastic_depth_prob=0.0, **SMALL), (2, 3, 64, 64)),
}

#: Functions that have a tensor among their arguments and make none from it, or take a function: why no contract fits.
OTHERS = {
    **dict.fromkeys(("fit", "fit_seeds", "evaluate", "error_rate", "error_rates"), "take a model"),
    **dict.fromkeys(
        ("localization_targets", "grid_targets", "object_targets", "roi_pool", "roi_align"),
        "take lists of boxes; held to their definitions in tests/detection",
    ),
    **dict.fromkeys(("grid_detections", "region_proposals"), "give lists of boxes"),
    **dict.fromkeys(("nms", "batched_nms", "match_anchors", "pixel_counts"), "give whole numbers"),
    **dict.fromkeys(("kmeans_anchors", "sample_anchors"), "draw at random"),
    **dict.fromkeys(
        ("mine_triplets", "batch_triplet_loss"), "choose rows by their values; tests/detection/faces/test_losses.py"
    ),
    **dict.fromkeys(("linear_to_conv2d", "fully_convolutional"), "take a model; tests/detection/localization"),
    "drawing": "draws a model", "optimize_image": "takes a function",
    **dict.fromkeys(
        ("layer_outputs", "input_gradient", "integrated_gradients", "smooth_grad", "grad_cam", "occlusion",
         "deconvolution", "guided_backpropagation", "maximal_patches", "fgsm", "pgd", "deepfool", "deep_dream",
         "feature_inversion", "style_transfer"),
        "take a model; held to captum's in tests/interpretation",
    ),
    "accuracy": "gives a share, without gradient; tests/train/test_evaluation.py",
    "predict": "runs a model over many examples",
    "clip_grad_norm_": "held below", "clip_grad_value_": "held below",
    "lookahead": "takes a function", "trajectory": "takes a function", "flat_loss": "takes a model",
    "genetic_search": "takes a function", "slopes": "takes a model", "signal_spread": "takes a model",
    "monte_carlo": "takes a model", "rename_lite0": "names alone", "fan_in_and_fan_out": "sizes alone",
    **dict.fromkeys(
        ("xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "default_bound_"),
        "fill a tensor at random; held below",
    ),
}  # fmt: skip


ESTIMATORS = {
    "LogisticRegression": partial(neurons.LogisticRegression, weight_decay=0.05),
    "Perceptron": partial(neurons.Perceptron, max_epochs=20),
    "MLP": partial(neurons.MLP, [2, 6, 2], activation="tanh"),
}

OPTIMIZERS = {
    "SGD": (partial(O.SGD, lr=0.1, weight_decay=0.1), partial(torch.optim.SGD, lr=0.1, weight_decay=0.1)),
    "Momentum": (
        partial(O.Momentum, lr=0.1, momentum=0.8, dampening=0.3),
        partial(torch.optim.SGD, lr=0.1, momentum=0.8, dampening=0.3),
    ),
    "Nesterov": (
        partial(O.Nesterov, lr=0.1, momentum=0.8),
        partial(torch.optim.SGD, lr=0.1, momentum=0.8, nesterov=True),
    ),
    "Adagrad": (partial(O.Adagrad, lr=0.1, lr_decay=0.1), partial(torch.optim.Adagrad, lr=0.1, lr_decay=0.1)),
    "RMSProp": (
        partial(O.RMSProp, lr=0.1, momentum=0.5, centered=True),
        partial(torch.optim.RMSprop, lr=0.1, momentum=0.5, centered=True),
    ),
    "Adam": (
        partial(O.Adam, lr=0.1, weight_decay=0.1, amsgrad=True),
        partial(torch.optim.Adam, lr=0.1, weight_decay=0.1, amsgrad=True),
    ),
    "AdamW": (partial(O.AdamW, lr=0.1, weight_decay=0.1), partial(torch.optim.AdamW, lr=0.1, weight_decay=0.1)),
    "ProximalSGD": (partial(G.ProximalSGD, lr=0.1, l1=0.01), None),
}
SCHEDULES = {
    "Schedule": partial(O.Schedule, warmup=3),
    "StepDecay": partial(O.StepDecay, step_size=2, gamma=0.5, warmup=1),
    "ExponentialDecay": partial(O.ExponentialDecay, gamma=0.5),
    "InverseTimeDecay": partial(O.InverseTimeDecay, decay_rate=0.5),
    "CosineDecay": partial(O.CosineDecay, T_max=6),
    "HalveOnRise": O.HalveOnRise,
    "MomentumSchedule": partial(O.MomentumSchedule, interval=1),
}


def public() -> dict[str, object]:
    found = {}
    for info in pkgutil.walk_packages(dlref.__path__, "dlref."):
        if not any(part.startswith("_") for part in info.name.split(".")[1:]):
            module = importlib.import_module(info.name)
            found |= {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    return found


PUBLIC = public()


def takes_tensors(value: object) -> bool:
    if not inspect.isfunction(value):
        return False
    kinds = [p.annotation for p in inspect.signature(value).parameters.values()]
    return any("Tensor" in str(kind) and "Callable" not in str(kind) for kind in kinds)


def test_every_public_name_has_its_example():
    missing = []
    for name, value in PUBLIC.items():
        if inspect.isclass(value) and issubclass(value, nn.Module):
            missing += [name] * (name not in LAYERS and name not in ARCHITECTURES)
        elif inspect.isclass(value) and issubclass(value, torch.optim.Optimizer):
            missing += [name] * (name not in OPTIMIZERS and name != "Descent")
        elif inspect.isclass(value) and issubclass(value, torch.optim.lr_scheduler.LRScheduler):
            missing += [name] * (name not in SCHEDULES)
        elif inspect.isclass(value) and hasattr(value, "fit") and hasattr(value, "predict"):
            missing += [name] * (name not in ESTIMATORS)
        elif takes_tensors(value):
            missing += [name] * (name not in FUNCTIONS and name not in OTHERS)
    assert missing == []
    assert set(LAYERS) | set(ARCHITECTURES) | set(FUNCTIONS) <= set(PUBLIC)


def test_every_limit_is_on_the_page():
    page = (Path(__file__).parent.parent / "book/reference/contracts.md").read_text(encoding="utf8")
    table = page.split("## What is deliberately not done")[1].split("## ")[0]
    named = {
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named <= set(PUBLIC)
    limited = {name for name, examples in {**LAYERS, **FUNCTIONS}.items() if any(e.lacks for e in examples)}
    assert limited <= named


CASES = [
    pytest.param(example, mode, id=f"{name}-{n}{'' if mode else '-evaluation'}")
    for name, examples in {**LAYERS, **FUNCTIONS}.items()
    for n, example in enumerate(examples)
    for mode in (example.modes if name in LAYERS else (True,))
]
MODULES = [case for case in CASES if case.id.split("-")[0] in LAYERS]
held = pytest.mark.parametrize(("example", "mode"), CASES)
held_layers = pytest.mark.parametrize(("example", "mode"), MODULES)


def made(
    example: Example, mode: bool, *, dtype: torch.dtype = torch.float32
) -> tuple[Callable, Callable | None, tuple]:
    """Ours, its twin with the same weights, and inputs, all of that type."""
    torch.manual_seed(0)
    inputs = tuple(x.to(dtype) for x in example.inputs())
    ours, twin = example.ours, example.twin
    if is_layer(example):
        ours = ours().to(dtype).train(mode)
        settle(ours)
        twin = None if twin is None else twin().to(dtype).train(mode)
        if twin is not None:
            twin.load_state_dict(ours.state_dict())
    return ours, twin, inputs


def settle(module: nn.Module) -> None:
    """Running statistics and scales unlike those at the start."""
    with torch.no_grad():
        for name, value in [*module.named_buffers(), *module.named_parameters()]:
            if name.endswith(("running_mean", "running_var", "bn.weight")):
                value.copy_(torch.rand_like(value) + 0.5)


def is_layer(example: Example) -> bool:
    return any(example in examples for examples in LAYERS.values())


def may_lack(example: Example, contract: str) -> None:
    if contract in example.lacks:
        pytest.skip(example.lacks[contract])


def results(function: Callable, inputs: tuple, seed: int = 1) -> list[Tensor]:
    """Output, gradients of inputs and parameters."""
    torch.manual_seed(seed)
    inputs = [x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for x in inputs]
    y = function(*inputs)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y.dtype)
    variables = [*inputs, *(p for p in parameters(function) if p.requires_grad)]
    grads = torch.autograd.grad(y, variables, g, allow_unused=True)
    return [y.detach(), *grads]


def parameters(function: Callable) -> list[Tensor]:
    return list(function.parameters()) if isinstance(function, nn.Module) else []


def close(ours: list, theirs: list, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    for a, b in zip(ours, theirs, strict=True):
        if b is None:
            assert a is None or not a.any()
            continue
        scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol * scale)


@held
def test_values_and_gradients_are_torchs(example, mode):
    ours, twin, inputs = made(example, mode, dtype=DOUBLE)
    if twin is None:
        pytest.skip("torch has none")
    close(results(ours, inputs), results(twin, inputs), 1e-9, 1e-9)


@held
def test_compiled(example, mode):
    may_lack(example, "compiled")
    ours, _, inputs = made(example, mode)
    torch._dynamo.reset()
    eager = results(copy.deepcopy(ours), inputs)
    compiled = torch.compile(copy.deepcopy(ours), backend="aot_eager", fullgraph=True)
    close(results(compiled, inputs), eager)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@held
def test_half_precision(example, mode, dtype):
    """Of torch's type, and as near to the truth as torch's."""
    may_lack(example, "half")
    ours, twin, inputs = made(example, mode, dtype=dtype)
    said = ours(*inputs)
    assert said.dtype == dtype
    exact = made(example, mode)[0]
    if isinstance(exact, nn.Module):
        exact.load_state_dict(
            {name: v.float() if v.is_floating_point() else v for name, v in ours.state_dict().items()}
        )
        settle_from(exact, made(example, mode, dtype=dtype)[0])
    exact = exact(*(x.float() for x in inputs))
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(said.float(), exact, rtol=2 * eps, atol=2 * eps * exact.abs().max().item())
    if twin is not None:
        assert twin(*inputs).dtype == dtype
    grads = results(made(example, mode, dtype=dtype)[0], inputs)
    assert all(g is None or g.dtype == dtype for g in grads)


def settle_from(module: nn.Module, other: nn.Module) -> None:
    module.load_state_dict({n: v.float() if v.is_floating_point() else v for n, v in other.state_dict().items()})


@held
def test_autocast(example, mode):
    may_lack(example, "autocast")
    ours, twin, inputs = made(example, mode)
    with torch.autocast("cpu", torch.bfloat16):
        said = ours(*inputs)
        if twin is not None:
            theirs = twin(*inputs)
            assert said.dtype == theirs.dtype
            torch.testing.assert_close(said, theirs, rtol=2e-2, atol=2e-2 * theirs.abs().max().item())
        behind = ours(*(x.bfloat16() if x.ndim > 1 else x for x in inputs[:1]), *inputs[1:])
        assert behind.shape == said.shape


@held
def test_second_derivatives(example, mode):
    may_lack(example, "gradgrad")
    ours, _, inputs = made(example, mode, dtype=DOUBLE)
    inputs = tuple(x.requires_grad_() for x in inputs)
    weights = parameters(ours)

    def function(*variables):
        values, rest = variables[: len(inputs)], variables[len(inputs) :]
        if not rest:
            return ours(*values)
        names = [name for name, _ in ours.named_parameters()]
        state = {**{n: b.clone() for n, b in ours.named_buffers()}, **dict(zip(names, rest, strict=True))}
        return torch.func.functional_call(ours, state, values)

    assert torch.autograd.gradgradcheck(function, (*inputs, *weights), fast_mode=True)
    assert torch.autograd.gradcheck(function, (*inputs, *weights), fast_mode=True, check_forward_ad=True)


@held
def test_transforms(example, mode):
    """torch.func: vmap, jvp, hessian, and the gradient of each example by itself."""
    ours, _, inputs = made(example, mode, dtype=DOUBLE)
    frozen = frozen_of(ours)
    tangents = tuple(torch.randn_like(x) for x in inputs)
    if not {"gradgrad", "jvp"} & set(example.lacks):
        _, tangent = torch.func.jvp(frozen, inputs, tangents)
        h = 1e-6
        ahead = frozen(*(x + h * t for x, t in zip(inputs, tangents, strict=True)))
        behind = frozen(*(x - h * t for x, t in zip(inputs, tangents, strict=True)))
        torch.testing.assert_close(tangent, (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-6)

        def scalar(x):
            return frozen(x, *inputs[1:]).square().sum()

        small = inputs[0]
        hessian = torch.func.hessian(scalar)(small)
        want = torch.autograd.functional.hessian(scalar, small)
        torch.testing.assert_close(hessian, want, rtol=1e-6, atol=1e-8)
    if "vmap" not in example.lacks:
        stacked = tuple(torch.stack([x, 2 * x]) for x in inputs)
        together = torch.vmap(frozen)(*stacked)
        apart = torch.stack([frozen(*(x[n] for x in stacked)) for n in range(2)])
        torch.testing.assert_close(together, apart)
        grads = torch.vmap(torch.func.grad(lambda *v: frozen(*v).square().sum()))(*stacked)
        one = torch.func.grad(lambda *v: frozen(*v).square().sum())(*(x[1] for x in stacked))
        torch.testing.assert_close(grads[1], one)


def frozen_of(ours: Callable) -> Callable:
    """Without what a call leaves behind: running statistics are copied for each call."""
    if not isinstance(ours, nn.Module):
        return ours
    if not list(ours.buffers()) or not ours.training:
        return ours.forward

    def function(*values):
        quiet = copy.deepcopy(ours)
        for module in quiet.modules():
            if getattr(module, "track_running_stats", False):
                module.track_running_stats = False
                for name in ("running_mean", "running_var", "num_batches_tracked"):
                    setattr(module, name, None)
        return quiet(*values)

    return function


@held_layers
def test_gradient_of_each_example(example, mode):
    may_lack(example, "vmap")
    ours, _, inputs = made(example, mode, dtype=DOUBLE)
    if not parameters(ours) or any(
        isinstance(m, T.batch_normalization._BatchNorm | nn.BatchNorm2d) for m in ours.modules()
    ):
        pytest.skip("no parameters, or examples that are not independent")

    def loss(weights, *xs):
        return torch.func.functional_call(ours, weights, tuple(x[None] for x in xs)).square().sum()

    weights = dict(ours.named_parameters())
    found = torch.vmap(torch.func.grad(loss), in_dims=(None, *(0 for _ in inputs)))(weights, *inputs)
    for n, xs in enumerate(zip(*inputs, strict=True)):
        want = torch.autograd.grad(loss(weights, *xs), list(weights.values()))
        close([found[name][n] for name in weights], list(want), 1e-8, 1e-8)


@held
def test_recomputed_in_the_backward_pass(example, mode):
    """torch.utils.checkpoint, which counts how often what was saved is asked for."""
    may_lack(example, "recomputed")
    ours, _, inputs = made(example, mode)
    plain, saving = copy.deepcopy(ours), copy.deepcopy(ours)
    again = partial(torch.utils.checkpoint.checkpoint, saving, use_reentrant=False)
    found, want = results(again, inputs), results(plain, inputs)
    close(found, want[: len(found)])


@held
def test_gradients_of_several_at_once(example, mode):
    may_lack(example, "batched")
    ours, _, inputs = made(example, mode, dtype=DOUBLE)
    inputs = tuple(x.requires_grad_() for x in inputs)
    y = ours(*inputs)
    g = torch.randn(3, *y.shape, dtype=DOUBLE)
    together = torch.autograd.grad(y, inputs, g, is_grads_batched=True, retain_graph=True)
    for n in range(3):
        close([t[n] for t in together], list(torch.autograd.grad(y, inputs, g[n], retain_graph=True)), 1e-9, 1e-9)


@held_layers
def test_traced_inside_a_network(example, mode):
    ours, twin, inputs = made(example, mode)
    if twin is None:
        pytest.skip("torch has none, whose layers stay whole in a trace")
    network = nn.Sequential(ours)
    traced = torch.fx.symbolic_trace(copy.deepcopy(network))
    close(results(traced, inputs), results(network, inputs))


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "BatchNorm2d", "ReLU", "ELU"])
def test_exported_with_open_sizes(name):
    ours, _, (x,) = made(LAYERS[name][0], mode=False)
    ours.eval()
    sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(ours, (x,), dynamic_shapes=(sizes,)).module()
    other = torch.randn(x.shape[0] + 1, x.shape[1], x.shape[2] + 3, *x.shape[3:])
    torch.testing.assert_close(exported(other), ours(other))


def test_tools_that_look_for_torchs_layers_find_these():
    norm = nn.Sequential(T.BatchNorm1d(3))
    torch.optim.swa_utils.update_bn([torch.randn(50, 3) + 5], norm)
    assert (norm[0].running_mean > 4).all()
    for ours, theirs in ((V.ConvTranspose2d, nn.ConvTranspose2d), (C.Conv2d, nn.Conv2d)):
        layers = [kind(3, 4, 3) for kind in (ours, theirs)]
        layers[0].load_state_dict(layers[1].state_dict())
        shapes = []
        for layer in layers:
            torch.manual_seed(0)
            normal = nn.utils.parametrizations.spectral_norm(layer)
            shapes.append(normal.parametrizations.weight[0]._u.shape)
        assert shapes[0] == shapes[1]
        x = torch.randn(1, 3, 5, 5)
        torch.testing.assert_close(layers[0].eval()(x), layers[1].eval()(x))


@held
def test_meta(example, mode):
    ours, _, inputs = made(example, mode)
    shape = copy.deepcopy(ours)(*inputs).shape
    if isinstance(ours, nn.Module):
        ours = ours.to("meta")
    said = ours(*(x.to("meta") for x in inputs))
    assert said.shape == shape
    assert said.is_meta


@held
def test_layouts(example, mode):
    """Non-contiguous, expanded, and channels last."""
    ours, _, inputs = made(example, mode)
    for change in (strided, channels_last):
        close(results(copy.deepcopy(ours), tuple(map(change, inputs))), results(copy.deepcopy(ours), inputs))
    wide = tuple(x[:1].expand(x.shape) for x in inputs)
    torch.manual_seed(0)
    said = copy.deepcopy(ours)(*wide)
    torch.manual_seed(0)
    close([said], [copy.deepcopy(ours)(*(x.clone() for x in wide))])


def strided(x: Tensor) -> Tensor:
    return torch.stack([x, x], -1)[..., 0]


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


@held
def test_empty_batch(example, mode):
    ours, twin, inputs = made(example, mode)
    if twin is None:
        pytest.skip("torch has none")
    empty = (inputs[0][:0], *inputs[1:])
    theirs = results(twin, empty)
    said = results(ours, empty)
    assert [None if t is None else t.shape for t in said] == [None if t is None else t.shape for t in theirs]


@held
def test_one_example_by_itself(example, mode):
    may_lack(example, "unbatched")
    ours, twin, inputs = made(example, mode)
    if twin is None:
        pytest.skip("torch has none")
    one = (inputs[0][0], *inputs[1:])
    try:
        theirs = results(twin, one)
    except (RuntimeError, ValueError, NotImplementedError):
        pytest.skip("torch takes a batch only")
    close(results(ours, one), theirs)


@held
def test_nan_comes_out_where_it_comes_out_of_torchs(example, mode):
    may_lack(example, "nan")
    ours, twin, inputs = made(example, mode)
    x = inputs[0].clone()
    x.view(-1)[x.numel() // 2] = torch.nan
    torch.manual_seed(0)
    said = ours(x, *inputs[1:])
    assert said.isnan().any()
    if twin is not None:
        torch.manual_seed(0)
        theirs = twin(x, *inputs[1:])
        assert (said.isnan() >= theirs.isnan()).all()


@held_layers
def test_copies_pickles_and_states(example, mode):
    ours, twin, inputs = made(example, mode)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        close(results(other, inputs), results(copy.deepcopy(ours), inputs))
    fresh = example.ours().train(mode)
    fresh.load_state_dict(ours.state_dict())
    close(results(fresh, inputs), results(copy.deepcopy(ours), inputs))
    if twin is not None:
        assert list(ours.state_dict()) == list(twin.state_dict())
        back = example.ours().train(mode)
        back.load_state_dict(twin.state_dict())


@held_layers
def test_repr_and_attributes(example, mode):
    ours, twin, _ = made(example, mode)
    shown = repr(ours)
    if isinstance(example.ours, partial):
        bound = inspect.signature(example.ours.func).bind(*example.ours.args, **example.ours.keywords)
        known = inspect.signature(example.ours.func).parameters
        if not list(ours.children()):
            for name, value in bound.arguments.items():
                assert hasattr(ours, name), name
                if not isinstance(value, bool | np.ndarray) and value != known[name].default:
                    assert str(value) in shown or str((value, value)) in shown, (name, shown)
    if twin is not None:
        absent = [n for n in twin.__constants__ if n != "name" and not hasattr(ours, n)]
        assert absent == [
            n for n in absent if n in {"return_indices", "divisor_override", "recompute_scale_factor", "output_padding"}
        ]


@held_layers
def test_device_and_dtype(example, mode):
    ours, twin, _ = made(example, mode)
    known = inspect.signature(example.ours.func).parameters if isinstance(example.ours, partial) else {}
    if twin is None or "dtype" not in inspect.signature(example.twin.func).parameters:
        pytest.skip("torch's has none")
    assert {"device", "dtype"} <= set(known)
    other = example.ours(dtype=DOUBLE, device="meta")
    assert all(v.is_meta and (v.dtype == DOUBLE or not v.is_floating_point()) for v in other.state_dict().values())
    if hasattr(twin, "reset_parameters"):
        ours.reset_parameters()


@pytest.mark.parametrize("name", ARCHITECTURES)
class TestArchitecture:
    def make(self, name):
        torch.manual_seed(0)
        build, shape = ARCHITECTURES[name]
        return build().eval(), torch.randn(shape)

    def test_compiled(self, name):
        model, x = self.make(name)
        torch._dynamo.reset()
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        close(results(compiled, (x,)), results(model, (x,)), 1e-3, 1e-4)

    def test_autocast(self, name):
        model, x = self.make(name)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            y = model(x)
        assert y.dtype == torch.bfloat16
        exact = model(x).detach()
        torch.testing.assert_close(y.float(), exact, rtol=0.1, atol=0.1 * exact.abs().max().item())

    def test_meta(self, name):
        model, x = self.make(name)
        assert model.to("meta")(x.to("meta")).shape == (len(x), model(x.to("meta")).shape[1])

    def test_traced(self, name):
        model, x = self.make(name)
        traced = torch.fx.symbolic_trace(model)
        torch.testing.assert_close(traced(x), model(x))

    def test_other_channels(self, name):
        """`in_channels=`, and a first layer that was put there by hand."""
        build, shape = ARCHITECTURES[name]
        model = build(in_channels=2).eval()
        x = torch.randn(shape[0], 2, *shape[2:])
        assert model(x).shape == (shape[0], model(x).shape[1])
        with pytest.raises(ValueError, match="x must have shape"):
            model(torch.randn(shape[0], 4, *shape[2:]))
        first = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
        parent, _, leaf = first[0].rpartition(".")
        other = copy.deepcopy(first[1])
        new = type(other)(
            4, other.out_channels, other.kernel_size, other.stride, other.padding, bias=other.bias is not None
        )
        setattr(model.get_submodule(parent), leaf, new)
        assert model(torch.randn(shape[0], 4, *shape[2:])).shape == (
            shape[0],
            model(torch.randn(shape[0], 4, *shape[2:])).shape[1],
        )

    def test_new_head(self, name):
        model, x = self.make(name)
        convnets.replace_head(model, 7)
        assert model(x).shape == (len(x), 7)

    def test_state_dict(self, name):
        model, x = self.make(name)
        other = ARCHITECTURES[name][0]().eval()
        other.load_state_dict(pickle.loads(pickle.dumps(model.state_dict())))
        torch.testing.assert_close(other(x), model(x), rtol=0, atol=0)


def weights(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes or ((3, 2), (4,), ())]


def descend(optimizer: torch.optim.Optimizer, parameters: list, steps: int = 4, begin: int = 0) -> list[Tensor]:
    """A few steps along gradients that every optimiser gets alike."""
    for t in range(begin, begin + steps):
        for n, theta in enumerate(parameters):
            theta.grad = torch.randn(theta.shape, generator=torch.Generator().manual_seed(10 * t + n)) + theta.detach()
        optimizer.step()
    return [theta.detach().clone() for theta in parameters]


@pytest.mark.parametrize("name", OPTIMIZERS)
class TestOptimizer:
    def test_is_torchs_and_states_go_to_and_fro(self, name):
        """After some steps either goes on from the other's state, pickled on the way."""
        ours, twin = OPTIMIZERS[name]
        if twin is None:
            pytest.skip("torch has none")
        want = descend(twin(given := weights()), given, 7)
        for first, second in ((ours, twin), (twin, ours), (ours, ours)):
            parameters = weights()
            optimizer = first(parameters)
            descend(optimizer, parameters, 4)
            other = second(parameters)
            other.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
            close(descend(other, parameters, 3, 4), want)

    def test_states_of_older_torch(self, name):
        """Without the hyperparameters that came later, and with the steps as plain numbers."""
        ours, _ = OPTIMIZERS[name]
        parameters = weights()
        optimizer = ours(parameters)
        descend(optimizer, parameters)
        state = copy.deepcopy(optimizer.state_dict())
        for group in state["param_groups"]:
            for late in ("maximize", "decoupled_weight_decay"):
                group.pop(late, None)
        for entry in state["state"].values():
            if "step" in entry:
                entry["step"] = int(entry["step"])
        others = [nn.Parameter(p.detach().clone()) for p in parameters]
        other = ours(others)
        other.load_state_dict(state)
        close(descend(other, others, 3, 4), descend(optimizer, parameters, 3, 4))

    def test_refuses_the_state_of_another_and_keeps_its_own(self, name):
        ours, _ = OPTIMIZERS[name]
        for kind, (make, twin) in OPTIMIZERS.items():
            alike = {"AdamW": {"Adam"}, "SGD": {"ProximalSGD"}, "Momentum": {"SGD", "ProximalSGD"}}.get(name, set())
            if kind == name or kind in alike:
                continue
            for build in (make, twin) if twin else (make,):
                foreign = build(theirs := weights())
                descend(foreign, theirs)
                own = ours(mine := weights())
                descend(own, mine)
                before = copy.deepcopy(own.state_dict())
                with pytest.raises((ValueError, TypeError), match="must"):
                    own.load_state_dict(foreign.state_dict())
                torch.testing.assert_close(own.state_dict(), before)

    def test_groups_copies_and_compiled_steps(self, name):
        ours, _ = OPTIMIZERS[name]

        def build(parameters):
            optimizer = ours([{"params": parameters[:1]}, {"params": parameters[1:2], "lr": 0.02}])
            optimizer.add_param_group({"params": parameters[2:], "weight_decay": 0.3})
            return optimizer

        optimizer = build(parameters := weights())
        want = descend(optimizer, parameters)
        compiled = build(others := weights())
        torch._dynamo.reset()
        compiled.step = torch.compile(compiled.step, backend="aot_eager")
        close(descend(compiled, others), want)
        again = copy.deepcopy(optimizer)
        copies = [theta for group in again.param_groups for theta in group["params"]]
        close(descend(again, copies, 2, 4), descend(optimizer, parameters, 2, 4))
        assert "lr: 0.02" in repr(optimizer)

    def test_frozen_parameters_and_named_ones(self, name):
        ours, _ = OPTIMIZERS[name]
        model = nn.Linear(3, 2)
        model.bias.requires_grad_(False)
        before = model.bias.detach().clone()
        optimizer = ours(model.named_parameters())
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        assert torch.equal(model.bias, before)
        assert optimizer.step(lambda: torch.tensor(3.0)) == 3.0

    def test_rate_as_a_tensor(self, name):
        ours, _ = OPTIMIZERS[name]
        want = descend(ours(given := weights()), given)
        close(descend(ours(others := weights(), lr=torch.tensor(0.1)), others), want)

    def test_nothing_moves_when_it_refuses(self, name):
        ours, _ = OPTIMIZERS[name]
        table = nn.Embedding(5, 2, sparse=True)
        parameters = [*weights(), table.weight]
        optimizer = ours(parameters)
        before = [theta.detach().clone() for theta in parameters]
        for theta in parameters[:-1]:
            theta.grad = torch.ones_like(theta)
        table(torch.tensor([1])).sum().backward()
        with pytest.raises(TypeError, match="dense gradients"):
            optimizer.step()
        close([theta.detach() for theta in parameters], before, 0, 0)

    def test_schedule_that_cycles_the_momentum(self, name):
        """Either the rule uses what the schedule sets, or the schedule is refused; and the state resumes."""
        ours, twin = OPTIMIZERS[name]
        optimizer = ours(parameters := weights())
        cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.2, total_steps=9)
        if not {"momentum", "betas"} & set(optimizer.defaults):
            with pytest.raises(ValueError, match="must support momentum"):
                cycle(optimizer)
            cycle(optimizer, cycle_momentum=False)
            return
        if name == "RMSProp":
            pytest.skip("torch's schedule takes its momentum for that of SGD, and so do both")
        schedule = cycle(optimizer)
        other = twin(others := weights())
        theirs = cycle(other)
        for t in range(4):
            close(descend(optimizer, parameters, 1, t), descend(other, others, 1, t))
            schedule.step()
            theirs.step()
        fresh = ours(parameters)
        fresh.load_state_dict(optimizer.state_dict())
        assert fresh.param_groups[0]["lr"] == other.param_groups[0]["lr"]


LOSSES = (3.0, 2.0, 2.5, 2.4, 2.6, 2.5, 2.7)


@pytest.mark.parametrize("name", SCHEDULES)
class TestSchedule:
    def make(self, name, lr=0.5):
        optimizer = torch.optim.SGD(weights(), lr=lr, momentum=0.9)
        return optimizer, SCHEDULES[name](optimizer)

    def run(self, name, optimizer, schedule, steps):
        seen = []
        for loss in steps:
            seen += [float(group[key]) for group in optimizer.param_groups for key in ("lr", "momentum")]
            descend(optimizer, optimizer.param_groups[0]["params"], 1)
            schedule.step(*([loss] if name == "HalveOnRise" else []))
        return seen

    @pytest.mark.parametrize("order", ["optimizer", "schedule", "made late"])
    def test_resumes_in_any_order(self, name, order):
        optimizer, schedule = self.make(name)
        self.run(name, optimizer, schedule, LOSSES[:3])
        states = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
        want = self.run(name, optimizer, schedule, LOSSES[3:])
        other = torch.optim.SGD(weights(), lr=0.1, momentum=0.5)
        if order == "made late":
            other.load_state_dict(states[0])
        resumed = SCHEDULES[name](other)
        if order == "optimizer":
            other.load_state_dict(states[0])
        resumed.load_state_dict(states[1])
        if order == "schedule":
            other.load_state_dict(states[0])
        assert self.run(name, other, resumed, LOSSES[3:]) == pytest.approx(want)

    def test_groups_added_later(self, name):
        """Gradual unfreezing: a new group is scheduled too, from the rate that it comes with."""
        optimizer, schedule = self.make(name)
        self.run(name, optimizer, schedule, LOSSES[:2])
        optimizer.add_param_group({"params": weights((2, 2)), "lr": 0.05})
        seen = self.run(name, optimizer, schedule, LOSSES[2:])
        if name not in ("HalveOnRise",):
            # after its first step the new group's rate is a tenth of the old one's
            assert seen[6::4] == pytest.approx([old / 10 for old in seen[4::4]])
        again = pickle.loads(pickle.dumps(schedule.state_dict()))
        schedule.load_state_dict(again)

    def test_tensor_rates(self, name):
        if name == "MomentumSchedule":
            pytest.skip("leaves the rate alone")
        optimizer, schedule = self.make(name)
        want = self.run(name, optimizer, schedule, LOSSES)
        other, theirs = self.make(name, torch.tensor(0.5))
        assert self.run(name, other, theirs, LOSSES) == pytest.approx(want, rel=1e-5)

    def test_refuses_another_state(self, name):
        optimizer, schedule = self.make(name)
        before = copy.deepcopy(schedule.state_dict())
        with pytest.raises(ValueError, match="state_dict must"):
            schedule.load_state_dict(torch.optim.lr_scheduler.ConstantLR(optimizer).state_dict())
        assert schedule.state_dict() == before

    def test_chained_with_torchs(self, name):
        if name in ("HalveOnRise", "MomentumSchedule"):
            pytest.skip("looks at losses, or at the momentum")
        optimizer, schedule = self.make(name)
        both = torch.optim.lr_scheduler.SequentialLR(
            optimizer, [schedule, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)], milestones=[3]
        )
        self.run(name, optimizer, both, LOSSES)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5)

    def test_through_fit(self, name):
        """Once an epoch; the one that wants the validation loss gets it."""
        torch.manual_seed(0)
        x = torch.randn(12, 2)
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        schedule = SCHEDULES[name](optimizer)
        rates = []
        history = train.fit(
            model, F.mse_loss, (x, x[:, :1]), (x, x[:, :1]), optimizer=optimizer, epochs=4, batch_size=4,
            scheduler=schedule, callbacks=[lambda _: rates.append(optimizer.param_groups[0]["lr"])],
        )  # fmt: skip
        by_hand, twin = self.make(name, 0.05)
        for loss in history["valid_loss"]:
            by_hand.step()
            twin.step(*([loss] if name == "HalveOnRise" else []))
        assert rates[-1] == by_hand.param_groups[0]["lr"]


def points() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.mark.parametrize("name", ESTIMATORS)
class TestEstimator:
    """What scikit-learn's tools do with one.

    Its own `check_estimator` asks for more than these classes promise: lists and data frames as data, any two or more
    labels, weights of examples, sparse matrices, its exceptions by their type, and constructors that check nothing.
    Here data are float arrays, labels 0 and 1 (whole numbers for MLP), and a wrong setting is refused at once.
    """

    def test_clone_copy_pickle(self, name):
        X, y = points()
        model = ESTIMATORS[name]().fit(X, y)
        fresh = base.clone(model)
        assert fresh.get_params() == model.get_params()
        for other in (fresh.fit(X, y), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(other.predict(X), model.predict(X))
        assert model.score(X, y) == (model.predict(X) == y).mean() > 0.8

    def test_scored_by_cross_validation_and_searched(self, name):
        X, y = points()
        scores = model_selection.cross_val_score(ESTIMATORS[name](), X, y, cv=4)
        assert len(scores) == 4
        assert scores.mean() > 0.8
        grid = {
            "LogisticRegression": {"weight_decay": [0.1, 0.01]}, "Perceptron": {"seed": [0, 1]},
            "MLP": {"sizes": [[2, 3, 2], [2, 5, 2]]},
        }[name]  # fmt: skip
        found = model_selection.GridSearchCV(ESTIMATORS[name](), grid, cv=3).fit(X, y)
        assert found.best_score_ > 0.8
        (setting,) = grid
        assert found.best_params_[setting] in grid[setting]

    def test_settings_and_repr(self, name):
        model = ESTIMATORS[name]()
        (setting, value) = next((k, v) for k, v in ESTIMATORS[name].keywords.items())
        assert f"{setting}={value!r}" in repr(model)
        assert model.set_params(**{setting: value}) is model
        with pytest.raises(ValueError, match="params must be one of"):
            model.set_params(colour="red")
        assert is_classifier(model)

    def test_probabilities_are_a_column_a_class(self, name):
        if name != "LogisticRegression":
            pytest.skip("gives none")
        X, y = points()
        model = ESTIMATORS[name]().fit(X, y)
        theirs = linear_model.LogisticRegression(C=1 / (len(X) * 0.05), tol=1e-8).fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
        np.testing.assert_allclose(model.decision_function(X), theirs.decision_function(X), atol=1e-3)
        calibrated = metrics.roc_auc_score(y, model.predict_proba(X)[:, 1])
        assert calibrated > 0.95
