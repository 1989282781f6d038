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


@pytest.fixture
def short():
    CALLS.clear()
    return shortcut(definition, forward, backward)


def inputs(size=3):
    return torch.rand(size, dtype=torch.float64) + 0.5, torch.rand(size, dtype=torch.float64)


def test_eager_mode_goes_the_fast_way(short, close):
    x, y = (t.requires_grad_() for t in inputs())
    z = short(x, y, power=3)
    assert not isinstance(z, tuple)
    found = torch.autograd.grad(z.sum(), (x, y))
    assert CALLS == ["forward", ("backward", (True, True))]
    close(found, torch.autograd.grad(definition(x, y, power=3).sum(), (x, y)))
    CALLS.clear()
    z = short(x.detach(), y, power=3)
    z.sum().backward()
    assert CALLS == ["forward", ("backward", (False, True))]
    assert not short(x.detach(), y.detach(), power=2).requires_grad


def test_second_derivatives_go_by_the_definition(short, close):
    x, y = (t.requires_grad_() for t in inputs())
    (first,) = torch.autograd.grad(short(x, y, power=3).sum(), x, create_graph=True)
    assert CALLS == ["forward", "definition"]
    (second,) = torch.autograd.grad(first.sum(), x)
    close(second, 6 * x * y)
    assert torch.autograd.gradgradcheck(lambda x, y: short(x, y, power=3), (x, y))
    CALLS.clear()
    z = short(x, y.detach(), power=3)
    (first,) = torch.autograd.grad(z.sum(), x, create_graph=True)
    close(torch.autograd.grad(first.sum(), x)[0], 6 * x * y)


def test_a_backward_that_can_be_differentiated_is(close):
    CALLS.clear()
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
def test_transforms_tangents_and_nothing_at_all_go_by_the_definition(short, close):
    x, y = inputs()
    close(torch.vmap(lambda a, b: short(a, b, power=2))(x, y), x**2 * y)
    assert CALLS == ["definition"]
    close(torch.func.grad(lambda a: short(a, y, power=2).sum())(x), 2 * x * y)
    assert CALLS == ["definition"] * 2
    with forward_ad.dual_level():
        z = forward_ad.unpack_dual(short(forward_ad.make_dual(x, torch.ones_like(x)), y, power=2))
        close(z.tangent, 2 * x * y)
    assert CALLS == ["definition"] * 3
    assert short(x[:0], y[:0], power=2).shape == (0,)
    assert CALLS == ["definition"] * 4


def test_what_is_kept_needs_no_gradient(short):
    x, y = (t.requires_grad_() for t in inputs())
    seen = []

    def watching(x, y, *, power):
        found = forward(x, y, power=power)
        seen.append(found)
        return found

    made = shortcut(definition, watching, backward)
    z = made(x, y, power=2)
    assert z.requires_grad
    assert not seen[0][1].requires_grad
    with pytest.raises(ValueError, match="zip"):
        list(chunks(torch.zeros(4, 2**19), torch.zeros(3)))


@pytest.mark.parametrize("power", [2, 3])
def test_several_gradients_at_once_go_by_the_definition(short, close, power):
    x, y = (t.requires_grad_() for t in inputs())
    z = short(x, y, power=power)
    g = torch.randn(4, 3, dtype=torch.float64)
    found = torch.autograd.grad(z, (x, y), g, is_grads_batched=True, retain_graph=True)
    assert CALLS == ["forward", "definition"]
    for n in range(4):
        want = torch.autograd.grad(definition(x, y, power=power), (x, y), g[n])
        close([t[n] for t in found], list(want))


def test_first_input_says_whether_there_is_nothing(short):
    x, y = inputs()
    assert short(x[:, None], y[:0], power=2).shape == (3, 0)
    assert CALLS == ["forward"]
    assert short(x[:0, None], y, power=2).shape == (0, 3)
    assert CALLS == ["forward", "definition"]


@pytest.mark.parametrize(("shape", "sizes"), [((5, 2**18), [2, 2, 1]), ((3, 2**20), [1, 1, 1]), ((0, 4), [0])])
def test_chunks_hold_so_many_numbers(shape, sizes):
    x, y = torch.zeros(shape), torch.arange(shape[0])
    parts = list(chunks(x, y))
    assert [len(a) for a, _ in parts] == [len(b) for _, b in parts] == sizes
    assert torch.equal(torch.cat([b for _, b in parts]), y)
