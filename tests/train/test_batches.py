"""Mirrors dlref/train/batches.py."""

import re
from collections import namedtuple
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dlref.train import accuracy, evaluate, fit
from dlref.train.batches import (
    each,
    generators_of,
    length,
    moved,
    outputs,
    set_epoch,
    size_of,
    split,
    weight_of,
)
from tests.train.runs import X, Y, network, sgd, weights


class Both(nn.Module):
    """Takes two arguments, by place or by name."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.body = network()

    def forward(self, x, shift):
        return self.body(x + shift)


SHIFT = 0.1 * torch.ones(50, 4)


def test_tuples_dictionaries_and_datasets_train_alike(close):
    class Named(TensorDataset):
        def __getitem__(self, index):
            x, shift, y = super().__getitem__(index)
            return {"x": x, "shift": shift, "labels": y}

    parts = (X, SHIFT, Y)
    kinds = [parts, {"shift": SHIFT, "y": Y, "x": X}, TensorDataset(*parts), Named(*parts)]
    models = []
    for data in kinds:
        models.append(Both())
        fit(models[-1], F.cross_entropy, data, data, optimizer=sgd(models[-1]), epochs=2, batch_size=16)
    for model in models[1:]:
        close(weights(model), weights(models[0]))


def test_a_loader_makes_its_own_batches(close):
    data = TensorDataset(X, Y)
    ours, theirs = network(), network()
    history = fit(
        ours, F.cross_entropy, DataLoader(data, 16), DataLoader(data, 7), optimizer=sgd(ours), epochs=2,
        metrics={"accuracy": accuracy},
    )  # fmt: skip
    optimizer = sgd(theirs)
    for _ in range(2):
        for x, y in DataLoader(data, 16):
            optimizer.zero_grad()
            F.cross_entropy(theirs(x), y).backward()
            optimizer.step()
    close(weights(ours), weights(theirs))
    close(history["valid_loss"][-1], F.cross_entropy(theirs(X), Y).item(), rtol=1e-6)
    close(history["valid_accuracy"][-1], accuracy(theirs(X), Y).item(), rtol=1e-6)
    seen = []
    theirs.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    fit(theirs, F.cross_entropy, DataLoader(data, 16, drop_last=True), optimizer=sgd(theirs), steps=5)
    assert seen == [16] * 5


def test_a_dataset_draws_nothing_from_the_generator_that_dropout_uses(close):
    models = [network(dropout=0.5), network(dropout=0.5)]
    for model, data in zip(models, ((X, Y), TensorDataset(X, Y)), strict=True):
        torch.manual_seed(4)
        fit(model, F.cross_entropy, data, optimizer=sgd(model), epochs=2, batch_size=16)
    close(weights(models[0]), weights(models[1]), rtol=0, atol=0)


TARGETS = Y.clone()
TARGETS[3:17] = -100
WEIGHT = torch.tensor([1.0, 5.0])
LOSSES = {
    "ignored": F.cross_entropy,
    "weighted": nn.CrossEntropyLoss(WEIGHT),
    "both": partial(F.cross_entropy, weight=WEIGHT, ignore_index=-100),
    "other index": nn.CrossEntropyLoss(WEIGHT, ignore_index=-100, label_smoothing=0.2),
}


@pytest.mark.parametrize("name", ["ignored", "weighted", "both", "other index"])
def test_weighted_and_ignored_targets_have_the_mean_of_the_whole(close, name):
    loss, targets = LOSSES[name], Y if name == "weighted" else TARGETS
    model = network()
    want = loss(model(X), targets).item()
    for data in ((X, targets), TensorDataset(X, targets)):
        for size in (7, 16, 50, 5):
            close(evaluate(model, loss, data, batch_size=size)["loss"], want, rtol=1e-5)
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    close(fit(model, loss, (X, targets), optimizer=frozen, epochs=1, batch_size=7)["loss"][0], want, rtol=1e-5)


def test_a_batch_whose_targets_are_all_ignored_is_left_out(close):
    """Without a mean there is no gradient: NaN would spoil the weights."""
    targets = torch.full((50,), -100)
    targets[:20] = Y[:20]
    ours = network()
    history = fit(ours, F.cross_entropy, (X, targets), optimizer=sgd(ours, 0.01), epochs=3, batch_size=1)
    assert all(torch.isfinite(p).all() for p in ours.parameters())
    assert history["loss"][-1] < 1


def test_weights_of_losses():
    targets = torch.tensor([0, 1, 1, -100])
    assert weight_of(F.mse_loss, None) is None
    assert weight_of(nn.CrossEntropyLoss(reduction="sum"), None) is None
    assert weight_of(F.cross_entropy, (X, Y)) is None, "nothing is ignored"
    assert weight_of(F.cross_entropy, None)(targets) == 3
    assert weight_of(partial(F.nll_loss, weight=WEIGHT), (X, Y))(targets) == 11
    assert weight_of(partial(partial(F.nll_loss, weight=WEIGHT), ignore_index=1), None)(targets[:3]) == 1
    assert weight_of(nn.NLLLoss(ignore_index=0), None)(targets[:3]) == 2
    assert weight_of(nn.CrossEntropyLoss(), None)(torch.full((4, 2, 3), 0.5)) == 12, "probabilities of two classes"


def test_parts_of_a_batch():
    x, y = torch.zeros(3, 2), torch.ones(3)
    assert split([x, y]) == (x, y)
    inputs, targets = split((x, x, y))
    assert inputs == (x, x)
    assert targets is y
    assert split({"a": x, "target": y}) == ({"a": x}, y)
    assert size_of(({"a": [x]}, y)) == 3
    assert each(len, {"a": (x, [y, "name"])}) == {"a": (3, (3, "name"))}
    model = Both()
    assert torch.equal(outputs(model, {"shift": SHIFT, "x": X}), model(X, SHIFT))
    assert torch.equal(outputs(model, (SHIFT, X)), model(SHIFT, X))
    assert torch.equal(outputs(model.body, X), model.body(X))
    with pytest.raises(TypeError, match=r"must have its targets under one of labels, label, .* got a, b"):
        split({"a": x, "b": y})
    with pytest.raises(TypeError, match="must have its targets under one of"):
        split({"label": x, "labels": y})
    for batch in (x, (x,), 3):
        with pytest.raises(TypeError, match=r"^a batch must be \(inputs, targets\) or a dictionary, got"):
            split(batch)


def test_length_of_dictionaries_and_loaders():
    assert length("data", {"x": X, "y": Y}) == length("data", (X, SHIFT, Y)) == 50
    assert length("data", DataLoader(TensorDataset(X, Y), 16)) == 4
    with pytest.raises(ValueError, match=re.escape("data must hold as many inputs as targets, got 50 and 50 and 3")):
        length("data", (X, SHIFT, Y[:3]))
    with pytest.raises(ValueError, match="data must not be empty"):
        length("data", DataLoader(TensorDataset(X, Y), 60, drop_last=True))


def test_order_of_a_loader_is_told_the_epoch_and_taken_up_again(tmp_path):
    """A loader with a generator of its own, and a sampler that draws by the epoch."""

    class Sampler(torch.utils.data.Sampler):
        def __init__(self):
            self.epoch = None

        def set_epoch(self, epoch):
            told.append(epoch)
            self.epoch = epoch

        def __len__(self):
            return 50

        def __iter__(self):
            return iter(torch.randperm(50, generator=torch.Generator().manual_seed(self.epoch)).tolist())

    told = []
    model = network()
    data = TensorDataset(X, Y)
    fit(model, F.cross_entropy, DataLoader(data, 16, sampler=Sampler()), optimizer=sgd(model), epochs=3)
    assert told == [0, 1, 2]

    def run(path, epochs):
        model = network()
        loader = DataLoader(data, 16, shuffle=True, generator=torch.Generator().manual_seed(3))
        fit(model, F.cross_entropy, loader, optimizer=sgd(model), epochs=epochs, checkpoint=tmp_path / path)
        return weights(model)

    whole = run("whole", 4)
    run("part", 2)
    torch.testing.assert_close(run("part", 4), whole, rtol=0, atol=0)


def test_batches_count_by_their_targets(close):
    """Inputs may have time first."""

    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return x.sum(0) * self.weight

    data = [(torch.ones(9, 2), torch.zeros(2)), (torch.ones(9, 1), torch.full((1,), 9.0))]
    loader = DataLoader(data, batch_size=None)
    close(evaluate(Sums(), F.mse_loss, loader)["loss"], 2 / 3 * 81)
    named = [({"n": torch.tensor(4.0), "x": torch.ones(3)}, torch.zeros(3))]
    assert size_of(named[0]) == 3


def test_what_can_be_sent_is_sent_and_a_type_of_its_own_stays():
    meta = torch.device("meta")
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    sent = moved(packed, torch.device("cpu"))
    assert isinstance(sent, nn.utils.rnn.PackedSequence)
    Point = namedtuple("Point", "x y")
    both = moved({"p": Point(torch.ones(1), [torch.ones(2), "name"])}, meta)
    assert isinstance(both["p"], Point)
    assert both["p"].x.is_meta
    assert both["p"].y[0].is_meta
    assert both["p"].y[1] == "name"
    assert isinstance(each(len, Point(torch.ones(1), torch.ones(2))), Point)

    class Takes(nn.Module):
        def forward(self, point):
            return point.x + point.y

    assert outputs(Takes(), Point(torch.ones(1), torch.ones(1))).item() == 2


KINDS = "data must be a tuple of tensors (inputs, targets), a Dataset or a DataLoader, got "


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ((X,), "(float32 tensor of shape (50, 4))"),
        ((X, 3), "(float32 tensor of shape (50, 4), 3 (int))"),
        ((X, torch.tensor(1.0)), "(float32 tensor of shape (50, 4), float32 tensor of shape ())"),
        ((X, [1]), "(float32 tensor of shape (50, 4), [1] (list))"),
        ({"x": X}, "(float32 tensor of shape (50, 4))"),
        ([X, Y], "[tensor("),
        (3, "3 (int)"),
    ],
)
def test_other_data_is_refused(data, got):
    with pytest.raises(TypeError) as caught:
        length("data", data)
    assert str(caught.value).replace("torch.", "").startswith(KINDS + got)


def test_a_dataset_needs_a_length():
    class Stream(torch.utils.data.Dataset):
        def __getitem__(self, index):
            return X[index], Y[index]

    with pytest.raises(TypeError, match="^" + re.escape(KINDS) + "<.*Stream"):
        length("data", Stream())


def test_a_wrong_batch_is_described():
    with pytest.raises(TypeError, match=r"^a batch must be \(inputs, targets\) or a dictionary, got 3 \(int\)$"):
        split(3)


def test_first_tensor_with_a_length_counts():
    assert size_of([torch.tensor(1.0), torch.ones(3, 7)]) == 3


def test_generators_and_samplers_are_found_wherever_they_are():
    one, other = torch.Generator(), torch.Generator()
    data = TensorDataset(X, Y)
    sampler = torch.utils.data.RandomSampler(data, generator=other)
    loader = DataLoader(data, 16, sampler=sampler, generator=one)
    assert generators_of(loader) == [one, other]
    assert generators_of(DataLoader(data, 16, shuffle=True, generator=one)) == [one], "each once"
    assert generators_of((X, Y)) == []

    class Batches(torch.utils.data.BatchSampler):
        def set_epoch(self, epoch):
            told.append(epoch)

    told = []
    set_epoch(DataLoader(data, batch_sampler=Batches(sampler, 16, drop_last=False)), 7)
    assert told == [7]
    set_epoch((X, Y), 8)
    assert told == [7]


def test_weights_go_where_the_targets_are():
    weigh = weight_of(partial(F.cross_entropy, weight=WEIGHT.to("meta")), None)
    with pytest.raises(NotImplementedError):  # no data to move from meta; without moving, another error
        weigh(Y)
