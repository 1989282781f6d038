"""Mirrors dlref/convnets/classic.py."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dlref.convnets import Layer, LeNet5, layer_table, lenet5, weight_layers


def test_lenet5_is_the_sequence_of_its_table(close):
    model = lenet5().double()
    p = model.state_dict()
    x = torch.randn(3, 1, 28, 28, dtype=torch.float64)
    h = F.pad(x, (2, 2, 2, 2))
    h = torch.tanh(F.conv2d(h, p["features.0.weight"], p["features.0.bias"]))
    h = F.avg_pool2d(h, 2)
    h = torch.tanh(F.conv2d(h, p["features.3.weight"], p["features.3.bias"]))
    h = F.avg_pool2d(h, 2)
    h = torch.tanh(F.conv2d(h, p["features.6.weight"], p["features.6.bias"]))[:, :, 0, 0]
    h = torch.tanh(h @ p["classifier.0.weight"].T + p["classifier.0.bias"])
    close(model(x), h @ p["classifier.2.weight"].T + p["classifier.2.bias"])


@pytest.mark.verifies("eq-conv-parameters", "eq-lenet5-total")
def test_lenet5_has_61706_parameters_and_the_printed_shapes():
    rows = layer_table(lenet5(), (1, 28, 28))
    assert sum(row.parameters for row in rows) == 61_706 == sum(p.numel() for p in lenet5().parameters())
    counted = [row for row in rows if row.kind != "Tanh"]
    assert [(row.output, row.parameters) for row in counted] == [
        ((6, 28, 28), 156),
        ((6, 14, 14), 0),
        ((16, 10, 10), 2_416),
        ((16, 5, 5), 0),
        ((120, 1, 1), 48_120),
        ((84,), 10_164),
        ((10,), 850),
    ]
    for row in counted:
        if row.kind == "Conv2d":
            C = {6: 1, 16: 6, 120: 16}[row.output[0]]
            assert row.parameters == row.output[0] * (C * 5 * 5 + 1)


@pytest.mark.verifies("eq-multiplications")
def test_multiplications_are_those_of_the_loops():
    rows = {row.name: row.multiplications for row in layer_table(lenet5(), (1, 28, 28))}
    assert rows["features.0"] == 6 * 28 * 28 * 1 * 5 * 5
    assert rows["features.3"] == 16 * 10 * 10 * 6 * 5 * 5
    assert rows["features.6"] == 120 * 16 * 5 * 5
    assert rows["classifier.0"] == 120 * 84
    assert rows["features.2"] == rows["features.1"] == 0


def test_table_counts_groups_strides_and_oblong_kernels():
    layer = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), groups=2)
    (row,) = layer_table(layer, (4, 9, 12))
    assert row == Layer("", "Conv2d", (6, 4, 11), 6 * 2 * 3 * 2 + 6, 6 * 4 * 11 * 2 * 3 * 2)
    (row,) = layer_table(nn.Linear(5, 3, bias=False), (7, 5))
    assert row == Layer("", "Linear", (7, 3), 15, 7 * 15)


def test_table_of_a_network_without_parameters_and_of_one_in_float64():
    assert layer_table(nn.ReLU(), (3, 2)) == [Layer("", "ReLU", (3, 2), 0, 0)]
    (row,) = layer_table(nn.Conv2d(4, 6, 1, groups=2).double(), (4, 2, 2))
    assert row.multiplications == 6 * 4 * 2
    assert type(row.multiplications) is int


def test_table_needs_no_memory_on_meta_and_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(32, 3))
    model[2].eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rows = layer_table(model, (1, 6, 6))
    assert [row.kind for row in rows] == ["Conv2d", "BatchNorm2d", "Dropout", "Flatten", "Linear"]
    assert [row.parameters for row in rows] == [20, 4, 0, 0, 99]
    torch.testing.assert_close(model.state_dict(), before)
    assert [module.training for module in model] == [True, True, False, True, True]
    assert not any(module._forward_hooks for module in model.modules())
    assert layer_table(model.to("meta"), (1, 6, 6)) == rows


def test_table_takes_its_hooks_off_after_an_error():
    model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError):
        layer_table(model, (4,))
    assert not model._forward_hooks
    assert model.training


def test_weight_layers_counts_kernels_and_matrices_alone():
    assert weight_layers(lenet5()) == ["features.0", "features.3", "features.6", "classifier.0", "classifier.2"]
    assert weight_layers(nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3), nn.MaxPool1d(1))) == ["2"]
    assert weight_layers(nn.ReLU()) == []


def test_classes_and_activation_are_choices():
    model = LeNet5(3, activation=nn.ReLU)
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == 4
    assert lenet5(7)(torch.zeros(1, 1, 28, 28)).shape == (1, 7)
    assert LeNet5().classifier[-1].out_features == 10
    assert lenet5().classifier[-1].out_features == 10


def test_one_batch_overfits():
    torch.manual_seed(0)
    model, x, y = lenet5(), torch.rand(16, 1, 28, 28), torch.arange(16) % 10
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(120):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
    assert (model(x).argmax(1) == y).all()


@pytest.mark.usefixtures("unchecked")
@given(st.lists(st.integers(1, 3) | st.just(28), min_size=0, max_size=5))
def test_any_input_but_28_by_28_in_one_channel_is_refused(shape):
    x = torch.zeros(shape)
    if len(shape) == 4 and shape[1:] == [1, 28, 28]:
        assert lenet5()(x).shape == (shape[0], 10)
    else:
        with pytest.raises(ValueError, match=r"^x must have shape \(B, C=1, H=28, W=28\), got torch.float32 tensor of"):
            lenet5()(x)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lenet5(0), ValueError, "num_classes must be an integer >= 1, got 0"),
        (lambda: LeNet5(2.5), TypeError, "num_classes must be an integer >= 1, got 2.5 (float)"),
        (
            lambda: lenet5()(torch.zeros(2, 1, 32, 32)),
            ValueError,
            "x must have shape (B, C=1, H=28, W=28), got torch.float32 tensor of shape (2, 1, 32, 32)",
        ),
        (lambda: lenet5()(torch.zeros(2, 28, 28)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (lambda: lenet5()(torch.zeros(2, 3, 28, 28)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (lambda: lenet5()(torch.zeros(2, 1, 27, 28)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (lambda: lenet5()(torch.zeros(2, 1, 28, 27)), ValueError, "x must have shape (B, C=1, H=28, W=28), got"),
        (
            lambda: lenet5()(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)),
            TypeError,
            "x must hold floating-point numbers, got torch.uint8 tensor of shape (2, 1, 28, 28)",
        ),
        (lambda: layer_table("net", (1,)), TypeError, "model must be a torch.nn.Module, got 'net' (str)"),
        (lambda: layer_table(lenet5(), (1, 0)), ValueError, "input_size must be an integer >= 1, got 0"),
        (lambda: weight_layers(None), TypeError, "model must be a torch.nn.Module, got None (NoneType)"),
    ],
)
def test_bad_input_names_the_offender(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
