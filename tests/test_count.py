"""Mirrors dlref/count.py."""

from functools import partial

import pytest
import torch
from torch import nn

from dlref.convnets import Conv2d, ConvTranspose2d, Inception
from dlref.count import Layer, layer_table, weight_layers


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


class Twice(nn.Module):
    """Uses a pair of layers twice, and a third layer behind it."""

    def __init__(self):
        super().__init__()
        self.pair = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Sequential(nn.ReLU(), nn.Conv2d(2, 2, 1)))
        self.last = nn.Conv2d(2, 3, 1)

    def forward(self, x):
        return self.last(self.pair(self.pair(x)))


def test_depth_merges_what_lies_deeper():
    pair = Layer("pair", "Sequential", (2, 4, 5), 38 + 6, 20 * 36 + 20 * 4)
    last = Layer("last", "Conv2d", (3, 4, 5), 9, 20 * 6)
    assert layer_table(Twice(), (2, 4, 5), depth=1) == [pair, pair, last]
    rows = layer_table(Twice(), (2, 4, 5), depth=2)
    assert [row.name for row in rows] == ["pair.0", "pair.1", "pair.0", "pair.1", "last"]
    assert rows[1] == Layer("pair.1", "Sequential", (2, 4, 5), 6, 20 * 4)
    assert layer_table(Twice(), (2, 4, 5), depth=3) == layer_table(Twice(), (2, 4, 5))
    assert layer_table(nn.ReLU(), (3,), depth=1) == layer_table(nn.ReLU(), (3,))


def test_output_of_a_merged_row_is_the_whole_modules_not_its_last_layers():
    module = nn.Sequential(Inception(3, 1, 2, 3, 4, 5, 6), nn.Sequential())
    (row, empty) = layer_table(module, (3, 4, 4), depth=1)
    assert row.output == (15, 4, 4)
    assert row.multiplications == sum(r.multiplications for r in layer_table(module, (3, 4, 4)))
    assert empty == Layer("1", "Sequential", (15, 4, 4), 0, 0)


def test_parts_that_are_never_called_as_a_whole_are_refused(refuses):
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.ReLU(), nn.Sigmoid()])

        def forward(self, x):
            return self.layers[1](self.layers[0](x))

    message = "depth must end at modules that are called, got 1 and layers"
    refuses(lambda: layer_table(Listed(), (2,), depth=1), (), ValueError, message)
    assert [row.name for row in layer_table(Listed(), (2,), depth=2)] == ["layers.0", "layers.1"]


def test_table_takes_its_hooks_off_after_an_error():
    model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError):
        layer_table(model, (4,))
    assert not model._forward_hooks
    assert model.training


def test_weight_layers_counts_kernels_and_matrices_alone():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3), nn.MaxPool1d(1), Conv2d(1, 1, 3))
    assert weight_layers(model) == ["2", "4"]
    assert weight_layers(nn.ReLU()) == []


def test_transposed_convolutions_are_counted_by_their_input_and_lookups_not_at_all():
    for kind in (ConvTranspose2d, nn.ConvTranspose2d):
        (row,) = layer_table(kind(4, 6, (3, 2), stride=2, groups=2), (4, 5, 7))
        assert row.output == (6, 11, 14)
        assert row.multiplications == 4 * 5 * 7 * 3 * 3 * 2
    (row,) = layer_table(Conv2d(4, 6, (3, 2), groups=2), (4, 5, 7))
    assert row.multiplications == 6 * 3 * 6 * 2 * 3 * 2
    embedding = nn.Sequential(Rounded(), nn.Embedding(5, 3))
    assert layer_table(embedding, (2,))[1] == Layer("1", "Embedding", (2, 3), 15, 0)


class Rounded(nn.Module):
    def forward(self, x):
        return x.long()


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (layer_table, ("net", (1,)), TypeError, "model must be a torch.nn.Module, got 'net' (str)"),
        (layer_table, (nn.ReLU(), (1, 0)), ValueError, "input_size must be an integer >= 1, got 0"),
        (partial(layer_table, depth=0), (nn.ReLU(), (1,)), ValueError, "depth must be an integer >= 1, got 0"),
        (weight_layers, (None,), TypeError, "model must be a torch.nn.Module, got None (NoneType)"),
    ],
)
def test_bad_input_names_the_offender(function, arguments, error, message, refuses):
    refuses(function, arguments, error, message)
