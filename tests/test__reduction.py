"""Mirrors dlref/_reduction.py."""

import pytest
import torch

from dlref._reduction import reduced


def test_three_ways():
    losses = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert reduced(losses, "none") is losses
    assert reduced(losses, "mean").item() == 3
    assert reduced(losses, "sum").item() == 12


def test_no_other():
    with pytest.raises(ValueError, match=r"^reduction must be one of 'mean', 'sum', 'none', got 'max' \(str\)$"):
        reduced(torch.zeros(1), "max")
