"""Mirrors dlref/device.py."""

import random
import re

import numpy as np
import pytest
import torch

from dlref.device import budget, device, seed


def machine(monkeypatch, *, cuda=0, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "chosen"),
    [
        (0, False, "", "cpu"),
        (2, False, "", "cuda"),
        (1, True, "", "cuda"),
        (0, True, "", "mps"),
        (2, True, "cpu", "cpu"),
        (2, False, "cuda:1", "cuda:1"),
        (1, True, " mps ", "mps"),
    ],
)
def test_device_is_the_best_there_is_or_the_one_asked_for(monkeypatch, cuda, mps, wanted, chosen):
    machine(monkeypatch, cuda=cuda, mps=mps)
    monkeypatch.setenv("DLREF_DEVICE", wanted)
    assert device() == torch.device(chosen)
    monkeypatch.setenv("DLREF_DEVICE", "cpu")


def test_device_without_the_variable(monkeypatch):
    machine(monkeypatch)
    monkeypatch.delenv("DLREF_DEVICE")
    assert device() == torch.device("cpu")


@pytest.mark.parametrize("wanted", ["cuda", "gpu", "cuda:1", "mps"])
def test_device_that_is_not_there(monkeypatch, wanted):
    machine(monkeypatch)
    monkeypatch.setenv("DLREF_DEVICE", wanted)
    with pytest.raises(ValueError, match=f"^DLREF_DEVICE must be one of 'cpu', got '{wanted}'"):
        device()


def test_device_names_all_there_are(monkeypatch):
    machine(monkeypatch, cuda=2, mps=True)
    monkeypatch.setenv("DLREF_DEVICE", "cuda:2")
    with pytest.raises(ValueError, match="one of 'cpu', 'mps', 'cuda', 'cuda:0', 'cuda:1', got"):
        device()


def draw():
    return random.random(), np.random.random(), torch.rand(1).item()


def test_seed_repeats_all_three_generators_and_asks_for_determinism(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    seed(7)
    first = draw()
    second = draw()
    seed(7)
    assert draw() == first
    assert all(a != b for a, b in zip(first, second, strict=True))
    seed(8)
    assert all(a != b for a, b in zip(first, draw(), strict=True))
    assert torch.are_deterministic_algorithms_enabled()
    import os

    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_seed_leaves_a_chosen_workspace(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    seed(0)
    import os

    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("n", "error"), [(-1, ValueError), (2**32, ValueError), (1.5, TypeError), (True, TypeError)])
def test_seed_refuses(n, error):
    with pytest.raises(error, match=re.escape("n must be an integer in [0, 4294967295], got ")):
        seed(n)
    seed(2**32 - 1)


def test_budget(monkeypatch):
    assert budget(cpu=2, gpu=20) == 2
    machine(monkeypatch, cuda=1)
    monkeypatch.setenv("DLREF_DEVICE", "cuda")
    assert budget(cpu=2, gpu=20) == 20
    monkeypatch.setenv("DLREF_BUDGET", "cpu")
    assert budget(cpu=2, gpu=20) == 2
    monkeypatch.setenv("DLREF_DEVICE", "cpu")
    monkeypatch.setenv("DLREF_BUDGET", "gpu ")
    assert budget(cpu=2, gpu=20) == 20
    monkeypatch.setenv("DLREF_BUDGET", "large")
    with pytest.raises(ValueError, match=r"^DLREF_BUDGET must be one of 'cpu', 'gpu', got 'large'"):
        budget(cpu=2, gpu=20)
    with pytest.raises(TypeError, match=r"^cpu and gpu must be of one type, got 2 \(int\) and 2.0 \(float\)$"):
        budget(cpu=2, gpu=2.0)
