"""Mirrors dlref/_shortcut.py."""

import pytest
import torch
from torch.autograd import forward_ad

from dlref._shortcut import chunks, shortcut

CALLS = []


def definition(x, y, *, power):
    CALLS.append("definition")
    return x**power * y


def forward(x, y, *, power):
    CALLS.append("forward")
    return x**power * y, x.detach() ** (power - 1)


def backward(g, kept, wanted, x, y, *, power):
    CALLS.append(("backward", tuple(wanted)))
    (below,) = kept
    return g * power * below * y if wanted[0] else None, g * below * x if wanted[1] else None


SHORT = shortcut(definition, forward, backward)


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()


def inputs(size=3):
    return torch.rand(size, dtype=torch.float64) + 0.5, torch.rand(size, dtype=torch.float64)


def test_eager_mode_goes_the_fast_way(close):
    x, y = (t.requires_grad_() for t in inputs())
    z = SHORT(x, y, power=3)
    assert not isinstance(z, tuple)
    found = torch.autograd.grad(z.sum(), (x, y))
    assert CALLS == ["forward", ("backward", (True, True))]
    close(found, torch.autograd.grad(definition(x, y, power=3).sum(), (x, y)))
    CALLS.clear()
    z = SHORT(x.detach(), y, power=3)
    z.sum().backward()
    assert CALLS == ["forward", ("backward", (False, True))]
    assert not SHORT(x.detach(), y.detach(), power=2).requires_grad


def test_second_derivatives_go_by_the_definition(close):
    x, y = (t.requires_grad_() for t in inputs())
    (first,) = torch.autograd.grad(SHORT(x, y, power=3).sum(), x, create_graph=True)
    assert CALLS == ["forward", "definition"]
    (second,) = torch.autograd.grad(first.sum(), x)
    close(second, 6 * x * y)
    assert torch.autograd.gradgradcheck(lambda x, y: SHORT(x, y, power=3), (x, y))
    CALLS.clear()
    z = SHORT(x, y.detach(), power=3)
    (first,) = torch.autograd.grad(z.sum(), x, create_graph=True)
    close(torch.autograd.grad(first.sum(), x)[0], 6 * x * y)


def test_a_backward_that_can_be_differentiated_is(close):
    twice = shortcut(definition, forward, backward, twice=True)
    x, y = (t.requires_grad_() for t in inputs())
    (first,) = torch.autograd.grad(twice(x, y, power=2).sum(), y, create_graph=True)
    assert CALLS == ["forward", ("backward", (True, True))] or CALLS == ["forward", ("backward", (False, True))]
    close(first, x * x)


def test_inputs_that_the_result_does_not_depend_on_get_no_gradient():
    def double(x, _):
        return 2 * x

    ignoring = shortcut(double, lambda x, _: (2 * x,), lambda g, *_: (2 * g, None))
    x, y = (t.requires_grad_() for t in inputs())
    (first,) = torch.autograd.grad(ignoring(x * x, y).sum(), x, create_graph=True)
    assert torch.autograd.grad(first.sum(), (x, y), allow_unused=True)[1] is None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch loads its formulas so
def test_transforms_tangents_and_nothing_at_all_go_by_the_definition(close):
    x, y = inputs()
    close(torch.vmap(lambda a, b: SHORT(a, b, power=2))(x, y), x**2 * y)
    assert CALLS == ["definition"]
    close(torch.func.grad(lambda a: SHORT(a, y, power=2).sum())(x), 2 * x * y)
    assert CALLS == ["definition"] * 2
    with forward_ad.dual_level():
        z = forward_ad.unpack_dual(SHORT(forward_ad.make_dual(x, torch.ones_like(x)), y, power=2))
        close(z.tangent, 2 * x * y)
    assert CALLS == ["definition"] * 3
    assert SHORT(x[:0], y[:0], power=2).shape == (0,)
    assert CALLS == ["definition"] * 4


@pytest.mark.parametrize(("shape", "sizes"), [((5, 2**18), [2, 2, 1]), ((3, 2**20), [1, 1, 1]), ((0, 4), [0])])
def test_chunks_hold_so_many_numbers(shape, sizes):
    x, y = torch.zeros(shape), torch.arange(shape[0])
    parts = list(chunks(x, y))
    assert [len(a) for a, _ in parts] == [len(b) for _, b in parts] == sizes
    assert torch.equal(torch.cat([b for _, b in parts]), y)
