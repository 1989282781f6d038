"""Mirrors dlref/train/processes.py."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from dlref.train import processes
from dlref.train.processes import Mean, Share, batches_of, join, rank_and_world

CPU = torch.device("cpu")


def under_torchrun(monkeypatch, rank, world, local_rank=0):
    for name, value in (("RANK", rank), ("WORLD_SIZE", world), ("LOCAL_RANK", local_rank)):
        monkeypatch.setenv(name, str(value))


def test_mean_weighs_batches_by_their_size():
    mean = Mean(CPU)
    mean.add(torch.tensor(2.0), 3.0)
    mean.add(torch.tensor(torch.nan), 0.0)  # of no example
    mean.add(torch.tensor(4.0), 1.0)
    assert mean.over_processes() == 2.5
    assert mean.sums.tolist() == [10, 4]
    assert mean.sums.dtype == torch.float64


def test_mean_adds_up_now_and_then_and_finds_what_is_not_finite():
    mean = Mean(CPU)
    assert mean.first_not_finite() is None
    for n in range(2 * processes._KEPT + 3):
        mean.add(torch.tensor(torch.inf if n in (processes._KEPT, 2 * processes._KEPT + 1) else float(n)), 1.0)
        if n == processes._KEPT:
            assert mean.first_not_finite() == (processes._KEPT + 1, math.inf)
    assert mean.first_not_finite() == (2 * processes._KEPT + 2, math.inf)
    assert len(mean.values) == 3
    mean = Mean(CPU)
    for n in range(processes._KEPT + 2):
        mean.add(torch.tensor(float(n)), float(n))
    assert mean.over_processes() == pytest.approx((2 * (processes._KEPT + 1) + 1) / 3)


def test_mean_lives_on_its_device_in_a_type_that_is_there(monkeypatch):
    assert Mean(torch.device("meta")).sums.device.type == "meta"
    asked = []
    monkeypatch.setattr(torch, "zeros", lambda n, *, dtype, device: asked.append((n, dtype, device.type)))
    for name in ("mps", "cuda"):
        Mean(torch.device(name))
    assert asked == [(2, torch.float32, "mps"), (2, torch.float64, "cuda")]


@pytest.mark.parametrize(("available", "initialized", "expected"), [(1, 1, 3.0), (1, 0, 2.0), (0, 1, 2.0)])
def test_mean_is_over_all_processes(monkeypatch, available, initialized, expected):
    monkeypatch.setattr(processes.dist, "is_available", lambda: bool(available))
    monkeypatch.setattr(processes.dist, "is_initialized", lambda: bool(initialized))
    monkeypatch.setattr(processes.dist, "all_reduce", lambda sums: sums.add_(torch.tensor([4.0, 1.0])))
    mean = Mean(CPU)
    mean.add(torch.tensor(2.0), 1.0)
    assert mean.over_processes() == expected


def test_alone_a_process_has_everything(monkeypatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert rank_and_world() == (0, 1)
    data = torch.arange(5.0), torch.arange(5)
    ((share, inputs, targets),) = batches_of(data, [torch.tensor([4, 0, 2])], CPU)
    assert share == Share(3.0, 1.0)
    assert inputs.tolist() == targets.tolist() == [4, 0, 2]


@pytest.mark.parametrize(
    ("rank", "first", "second"),
    [(0, ([3, 0], 2, 1.2), ([2], 1, 1.5)), (1, ([1, 2], 2, 1.2), ([4], 1, 1.5)), (2, ([4], 1, 0.6), ([2], 0, 0.0))],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["tensors", "dataset"])
def test_shares_of_three_processes(monkeypatch, rank, first, second, kind):
    """By the weights the mean of three gradients is that of the whole batch; who has no example weighs nothing."""
    under_torchrun(monkeypatch, rank, 3)
    data = torch.arange(5.0), torch.arange(5)
    data = data if kind == "tensors" else TensorDataset(*data)
    shares = list(batches_of(data, [torch.tensor([3, 1, 4, 0, 2]), torch.tensor([2, 4])], CPU))
    for (share, inputs, targets), expected in zip(shares, (first, second), strict=True):
        indices, count, weight = expected
        assert (share.count, share.weight, share.void) == (count, pytest.approx(weight), False)
        assert inputs.tolist() == targets.tolist() == indices


def test_batches_go_to_the_device():
    data = torch.arange(5.0), torch.arange(5)
    ((_, inputs, targets),) = batches_of(data, [torch.tensor([1])], torch.device("meta"))
    assert inputs.device.type == targets.device.type == "meta"


def test_workers_are_those_asked_for(monkeypatch):
    asked = []

    class Spy(processes.DataLoader):
        def __init__(self, *args, num_workers, **kwargs):
            asked.append(num_workers)
            super().__init__(*args, num_workers=0, **kwargs)

    monkeypatch.setattr(processes, "DataLoader", Spy)
    data = TensorDataset(torch.arange(2.0), torch.arange(2))
    list(batches_of(data, [torch.tensor([1])], CPU))
    list(batches_of(data, [torch.tensor([1])], CPU, 3))
    assert asked == [0, 3]


@pytest.fixture
def group(monkeypatch):
    """What is asked of torch.distributed and of CUDA, neither of which need be there."""
    asked = []
    monkeypatch.setattr(processes.dist, "is_initialized", lambda: "init" in dict(asked))
    monkeypatch.setattr(processes.dist, "init_process_group", lambda backend: asked.append(("init", backend)))
    monkeypatch.setattr(processes.atexit, "register", lambda function: asked.append(("at exit", function)))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: asked.append(("set", device)))
    return asked


def test_one_process_joins_nothing(monkeypatch, group):
    under_torchrun(monkeypatch, 0, 1, 1)
    monkeypatch.setattr(processes, "default_device", lambda: torch.device("cuda"))
    assert join(None) == (0, 1, torch.device("cuda"))
    assert join(CPU) == (0, 1, CPU)
    assert group == []


def test_processes_on_gpus(monkeypatch, group):
    under_torchrun(monkeypatch, 3, 2, 1)
    monkeypatch.setattr(processes, "default_device", lambda: torch.device("cuda"))
    own = torch.device("cuda", 1)
    expected = [("set", own), ("init", "nccl"), ("at exit", processes.dist.destroy_process_group)]
    assert join(None) == (3, 2, own)
    assert group == expected
    assert join(own) == (3, 2, own)
    assert group == expected, "the second time there is nothing to join"


def test_processes_on_cpus(monkeypatch, group):
    under_torchrun(monkeypatch, 1, 2, 1)
    monkeypatch.setattr(processes, "default_device", lambda: CPU)
    assert join(None) == (1, 2, CPU)
    assert group == [("init", "gloo"), ("at exit", processes.dist.destroy_process_group)]


SCRIPT = """
import os, sys, torch
from torch import nn
from torch.nn import functional as F
from dlref.train import EarlyStopping, accuracy, fit
torch.manual_seed(0)
x = torch.randn(25, 4, generator=torch.Generator().manual_seed(1))   # batches of 8, 8, 8 and 1
y = (x[:, 0] > 0).long()
model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
history = fit(model, F.cross_entropy, (x, y), (x[:11], y[:11]), optimizer=optimizer, epochs=6, batch_size=8,
              metrics={"accuracy": accuracy}, checkpoint=sys.argv[1], callbacks=[EarlyStopping(4)])
torch.save({"history": history, "weights": model.state_dict()}, f"{sys.argv[1]}.{os.environ.get('RANK', 'alone')}")
"""


def of_one_and_two(code, tmp_path):
    """What the script saves run alone, and run by each of two processes."""
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "DLREF_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([sys.executable, script, tmp_path / "one"], check=True, env=environment)
    ran = subprocess.run(
        [*torchrun, script, tmp_path / "two"], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    one, *two = (torch.load(tmp_path / name, weights_only=True) for name in ("one.alone", "two.0", "two.1"))
    return one, two


@pytest.mark.own_process
def test_two_processes_find_the_losses_of_one(tmp_path):
    one, two = of_one_and_two(SCRIPT, tmp_path)
    for rank in two:
        torch.testing.assert_close(rank["history"], one["history"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(rank["weights"], one["weights"], rtol=1e-5, atol=1e-5)
    kept = torch.load(tmp_path / "two", weights_only=True)
    assert set(kept["model"]) == set(one["weights"]), "the checkpoint is that of the plain model"


WEIGHTED = """
import os, sys, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from dlref.train import evaluate, fit
torch.manual_seed(0)
x = torch.randn(25, 4, generator=torch.Generator().manual_seed(1))   # batches of 8, 8, 8 and 1
y = (x[:, 0] > 0).long()
y[5:19] = -100                                                       # whole shares of a batch are ignored
model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
loss = nn.CrossEntropyLoss(torch.tensor([1.0, 4.0]))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
history = fit(model, loss, (x, y), (x, y), optimizer=optimizer, epochs=4, batch_size=8, max_norm=0.5)
rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
part = DataLoader(TensorDataset(x[rank::world], y[rank::world]), 5)  # 13 and 12 examples: batches of unequal weight
history["loader"] = [evaluate(model, loss, part)["loss"]] if world == 1 or len(part) == 3 else []
torch.save({"history": history, "weights": model.state_dict()}, f"{sys.argv[1]}.{os.environ.get('RANK', 'alone')}")
"""


@pytest.mark.own_process
def test_two_processes_find_weighted_means_of_one(tmp_path):
    one, two = of_one_and_two(WEIGHTED, tmp_path)
    for rank in two:
        torch.testing.assert_close(rank, one, rtol=1e-5, atol=1e-5)


class Group:
    """Stands in for torch.distributed: what the other processes hold."""

    def __init__(self, *others):
        self.others = others
        self.places = []

    def is_available(self):
        return True

    is_initialized = is_available

    def all_reduce(self, tensor):
        self.places.append(tensor.device)
        tensor += sum(self.others)

    def all_gather_object(self, found, value):
        assert len(found) == 1 + len(self.others)
        found[:] = [value, *self.others]


def test_share_of_a_process_that_must_ask_the_others(monkeypatch):
    assert processes._share(0.1, 1, CPU) == Share(0.1, 1.0)
    assert processes._share(0.0, 1, CPU) == Share(0.0, 0.0, void=True)
    assert processes._share(1.0, 1, CPU) == Share(1.0, 1.0)
    group = Group(1.0, 4.0)
    monkeypatch.setattr(processes, "dist", group)
    assert processes._share(3.0, 3, CPU) == Share(3.0, 3 * 3 / 8)
    assert processes._share(0.0, 3, CPU) == Share(0.0, 0.0)
    assert group.places == [CPU, CPU]
    monkeypatch.setattr(processes, "dist", Group(0.0))
    assert processes._share(0.0, 2, CPU) == Share(0.0, 0.0, void=True)
    assert processes._share(0.1, 2, CPU) == Share(0.1, 2.0)
    group = Group(1.0)
    monkeypatch.setattr(processes, "dist", group)
    with pytest.raises(RuntimeError, match="meta"):  # what is on no device cannot be read
        processes._share(1.0, 2, torch.device("meta"))
    assert group.places == [torch.device("meta")]


def test_a_value_of_all_processes(monkeypatch):
    monkeypatch.setattr(processes, "dist", Group("two", "three"))
    assert processes.of_all("one") == ["one"], "alone"
    under_torchrun(monkeypatch, 0, 3)
    assert processes.of_all("one") == ["one", "two", "three"]

    class Apart(Group):
        def is_initialized(self):
            return False

    monkeypatch.setattr(processes, "dist", Apart("two", "three"))
    assert processes.of_all("one") == ["one"]


DATA = TensorDataset(torch.arange(10.0)[:, None], torch.arange(10))


@pytest.mark.parametrize("weigh", [None, lambda targets: float(targets.sum())])
def test_batches_of_a_loader_are_its_own(weigh):
    loader = DataLoader(DATA, 4)
    found = list(batches_of(loader, torch.arange(2).split(1), CPU, weigh=weigh))
    counts = [4.0, 4.0] if weigh is None else [6.0, 22.0]
    assert [share for share, *_ in found] == [Share(count, 1.0) for count in counts]
    assert [targets.tolist() for *_, targets in found] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert torch.equal(found[1][1], torch.arange(4.0, 8.0)[:, None])
    ((_, inputs, targets),) = batches_of(loader, torch.arange(1).split(1), torch.device("meta"))
    assert inputs.is_meta
    assert targets.is_meta


def test_batches_of_weighted_targets(monkeypatch):
    """A part without examples weighs nothing, whatever the one that it takes along."""
    order = torch.arange(9).split(4)
    weigh = lambda targets: float(targets.sum())  # noqa: E731
    for data in (DATA, DATA.tensors):
        shares = [share for share, *_ in batches_of(data, order, CPU, weigh=weigh)]
        assert shares == [Share(6.0, 1.0), Share(22.0, 1.0), Share(8.0, 1.0)]
    under_torchrun(monkeypatch, 1, 2)
    monkeypatch.setattr(processes, "dist", Group(8.0))
    shares = [share for share, *_ in batches_of(DATA.tensors, order, CPU, weigh=weigh)]
    assert shares == [Share(4.0, 4 * 2 / 12), Share(12.0, 12 * 2 / 20), Share(0.0, 0.0)]


def test_a_dataset_draws_from_the_generator_that_it_is_given():
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    list(batches_of(DATA, torch.arange(8).split(4), CPU))
    assert torch.equal(torch.get_rng_state(), before)
    list(batches_of(DATA, torch.arange(8).split(4), CPU, generator=generator))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(generator.get_state(), state)
