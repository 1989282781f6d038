"""Mirrors dlref/interpretation/_rectified.py; what it replaces is tested in features/test_rectifiers.py."""

import torch
from torch import nn

from dlref.interpretation._rectified import Rectified, Rule


def test_the_rule_has_a_gradient_of_its_own():
    """Maps may be part of a loss."""
    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double().eval()
    with Rule(guided=True):
        out = model(x)[:, 0].sum()
        (first,) = torch.autograd.grad(out, x, create_graph=True)
    assert first.requires_grad


def test_a_rectifier_gives_what_it_always_gave():
    x = torch.linspace(-2, 8, 21)
    torch.testing.assert_close(Rectified.apply(x, 6.0, True), x.clamp(0, 6))
    torch.testing.assert_close(Rectified.apply(x, float("inf"), False), x.relu())
