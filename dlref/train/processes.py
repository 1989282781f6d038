"""Each process's share of a batch, and means over all processes."""

import atexit
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader

from dlref.device import device as default_device
from dlref.train.batches import Data, each, moved, size_of, split

_KEPT = 1000  # losses that are kept as they are before they are added up


@dataclass
class Share:
    """One process's part of a batch.

    How much it counts in a mean, its weight beside the parts of the others, and whether
    the batch as a whole counts nothing.
    """

    count: float
    weight: float
    void: bool = False


class Mean:
    """Mean over examples, of means over batches.

    Without a synchronisation until it is read.
    """

    def __init__(self, device: torch.device) -> None:
        dtype = (
            torch.float32 if device.type == "mps" else torch.float64
        )  # MPS has no float64
        self.sums = torch.zeros(2, dtype=dtype, device=device)
        self.values: list[Tensor] = []
        self.counts: list[float] = []
        self.added = 0

    def add(self, value: Tensor, count: float) -> None:
        """Take in the mean ``value`` over what counts as ``count`` examples."""
        if count:
            self.values.append(value)
            self.counts.append(count)
        self.added += 1
        if len(self.values) == _KEPT:
            self._sum()

    def first_not_finite(self) -> tuple[int, float] | None:
        """Number and value of the first value that is not finite, of the last ones."""
        if not self.values:
            return None
        values = torch.stack(self.values)
        wrong = (~values.isfinite()).nonzero()
        if not len(wrong):
            return None
        place = int(wrong[0])
        return self.added - len(values) + place + 1, values[place].item()

    def over_processes(self) -> float:
        """Mean over the examples of all processes."""
        self._sum()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.sums)
        return (self.sums[0] / self.sums[1]).item()

    def _sum(self) -> None:
        if self.values:
            counts = self.sums.new_tensor(self.counts)
            values = torch.stack(self.values).to(self.sums)
            self.sums += torch.stack([(values * counts).sum(), counts.sum()])
            self.values, self.counts = [], []


def batches_of(
    data: Data,
    batches: Sequence[Tensor],
    device: torch.device,
    num_workers: int = 0,
    generator: torch.Generator | None = None,
    weigh: Callable[[Any], float] | None = None,
) -> Iterator[tuple[Share, Any, Any]]:
    """This process's part of each batch.

    One left without examples takes one with weight zero, to stay in step. A DataLoader
    makes its own batches, of which there are as many as ``batches``.
    """
    rank, world = rank_and_world()
    if isinstance(data, DataLoader):
        for batch, _ in zip(data, batches, strict=False):
            inputs, targets = split(batch)
            count = float(size_of(targets)) if weigh is None else weigh(targets)
            share = _share(count, world, device)
            yield share, moved(inputs, device), moved(targets, device)
        return
    parts = [(batch[rank::world], batch) for batch in batches]
    taken = [part if len(part) else batch[:1] for part, batch in parts]
    if isinstance(data, tuple | Mapping):
        found = (each(lambda t, i=index: t[i], data) for index in taken)
    else:
        found = DataLoader(
            data,
            batch_sampler=[index.tolist() for index in taken],
            num_workers=num_workers,
            # its own, or it would draw from the generator that dropout uses
            generator=torch.Generator() if generator is None else generator,
        )
    for (part, whole), batch in zip(parts, found, strict=True):
        inputs, targets = split(batch)
        if weigh is None:
            share = Share(float(len(part)), len(part) * world / len(whole))
        else:
            share = _share(weigh(targets) if len(part) else 0.0, world, device)
        yield share, moved(inputs, device), moved(targets, device)


def _share(count: float, world: int, device: torch.device) -> Share:
    """Share of a process that does not know what the others have."""
    total = torch.tensor(count, dtype=torch.float64)
    if world > 1:
        total = total.to(device)
        dist.all_reduce(total)
    if total.item() == 0:
        return Share(0.0, 0.0, void=True)
    return Share(count, count * world / total.item())


def rank_and_world() -> tuple[int, int]:
    """Which of how many processes this is, as torchrun says."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def join(device: torch.device | None) -> tuple[int, int, torch.device]:
    """Rank, number of processes and device.

    Joins torchrun's process group the first time.
    """
    rank, world = rank_and_world()
    if device is None:
        device = default_device()
        if world > 1 and device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return rank, world, device


def of_all(value: Any) -> list[Any]:
    """That value of every process, in the order of their ranks."""
    _, world = rank_and_world()
    if world == 1 or not dist.is_initialized():
        return [value]
    found: list[Any] = [None] * world
    dist.all_gather_object(found, value)
    return found
