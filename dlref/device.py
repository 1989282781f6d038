"""Where a computation runs, what makes it repeatable, and how long it may take."""

import os
import random
from typing import TypeVar

import numpy as np
import torch

from dlref import _check

__all__ = ["budget", "device", "seed"]

T = TypeVar("T")


def device() -> torch.device:
    """Choose the device: CUDA if there is one, else Apple's MPS, else the CPU.

    The environment variable ``DLREF_DEVICE`` (``cpu``, ``cuda``, ``cuda:1``, ``mps``)
    overrides the choice.

    Raises:
        ValueError: if ``DLREF_DEVICE`` is no such name, or names a device that this
            machine lacks.

    Source:
        PyTorch's device-agnostic idiom, ``torch.device``.

    Example:
        >>> device().type in {"cpu", "cuda", "mps"}
        True
    """
    found = ["cpu"] + ["mps"] * torch.backends.mps.is_available()
    found += ["cuda"] * torch.cuda.is_available() + [
        f"cuda:{i}" for i in range(torch.cuda.device_count())
    ]
    wanted = os.environ.get("DLREF_DEVICE", "").strip()
    if wanted:
        return torch.device(_check.one_of("DLREF_DEVICE", wanted, found))
    return torch.device(
        "cuda" if "cuda" in found else "mps" if "mps" in found else "cpu"
    )


def seed(n: int) -> None:
    """Seed Python, NumPy and torch, and ask torch for deterministic algorithms.

    Args:
        n: the seed, in [0, 2**32 - 1].

    Raises:
        TypeError: if ``n`` is not an integer.
        ValueError: if ``n`` is out of range.

    Source:
        PyTorch's notes on reproducibility. NumPy's new generators,
        ``np.random.default_rng(n)``, carry their own seed; only the legacy global
        generator is seeded here.

    Example:
        >>> seed(0)
        >>> a = torch.rand(2)
        >>> seed(0)
        >>> torch.equal(a, torch.rand(2))
        True
    """
    n = _check.integer("n", n, 0, 2**32 - 1)
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # cuBLAS refuses determinism without it
    random.seed(n)
    np.random.seed(n)  # noqa: NPY002  the legacy generator is what other libraries draw from
    torch.manual_seed(n)
    torch.set_deterministic_debug_mode(
        "error"
    )  # use_deterministic_algorithms imports the compiler, for seconds


def budget(*, cpu: T, gpu: T) -> T:
    """Pick the size of an experiment: ``cpu`` on a CPU, ``gpu`` on an accelerator.

    The environment variable ``DLREF_BUDGET`` (``cpu``, ``gpu``) overrides the choice.

    Args:
        cpu: what fits into a few seconds on two cores (epochs, images, steps, ...).
        gpu: the same quantity for a machine with a GPU.

    Raises:
        TypeError: if the two are of different types.
        ValueError: if ``DLREF_BUDGET`` is neither of the two.

    Source:
        This book: the same page runs longer where it can.

    Example:
        >>> epochs = budget(cpu=2, gpu=20)
    """
    if type(cpu) is not type(gpu):
        raise TypeError(
            f"cpu and gpu must be of one type, got {_check.describe(cpu)} and "
            f"{_check.describe(gpu)}"
        )
    wanted = os.environ.get("DLREF_BUDGET", "").strip()
    if wanted:
        return (
            cpu
            if _check.one_of("DLREF_BUDGET", wanted, ("cpu", "gpu")) == "cpu"
            else gpu
        )
    return cpu if device().type == "cpu" else gpu
