"""Each process's share of a batch, and means over all processes."""

import atexit
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dlref.device import device as default_device

Data = tuple[Tensor, Tensor] | Dataset


@dataclass
class Share:
    """One process's part of a batch."""

    indices: list[int]
    count: int
    weight: float


class Mean:
    """Mean over examples, of means over batches.

    Without a synchronisation until it is read.
    """

    def __init__(self, device: torch.device) -> None:
        dtype = (
            torch.float32 if device.type == "mps" else torch.float64
        )  # MPS has no float64
        self.sums = torch.zeros(2, dtype=dtype, device=device)

    def add(self, value: Tensor, count: int) -> None:
        """Take in the mean ``value`` over ``count`` examples."""
        self.sums += torch.stack([value * count, torch.full_like(value, count)]).to(
            self.sums.dtype
        )

    def over_processes(self) -> float:
        """Mean over the examples of all processes."""
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(self.sums)
        return (self.sums[0] / self.sums[1]).item()


def batches_of(
    data: Data, batches: Sequence[Tensor], device: torch.device, num_workers: int = 0
) -> Iterator[tuple[Share, Tensor, Tensor]]:
    """This process's part of each batch.

    One left without examples takes one with weight zero, to stay in step.
    """
    rank, world = rank_and_world()
    shares = []
    for batch in batches:
        part = batch[rank::world]
        shares.append(
            Share(
                (part if len(part) else batch[:1]).tolist(),
                len(part),
                len(part) * world / len(batch),
            )
        )
    if isinstance(data, tuple):
        pairs = ((data[0][share.indices], data[1][share.indices]) for share in shares)
    else:
        pairs = DataLoader(
            data,
            batch_sampler=[share.indices for share in shares],
            num_workers=num_workers,
        )
    for share, (inputs, targets) in zip(shares, pairs, strict=True):
        yield share, inputs.to(device), targets.to(device)


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
