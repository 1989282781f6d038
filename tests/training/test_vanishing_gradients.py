"""Mirrors dlref/training/vanishing_gradients.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlref.training import (
    Evolution,
    Residual,
    clip_grad_norm_,
    clip_grad_value_,
    genetic_search,
    gradient_norms,
)

DOUBLE = torch.float64
SETTINGS = [{}, {"norm_type": 1.0}, {"norm_type": 3.5}, {"norm_type": math.inf}]


def parameters(dtype=DOUBLE, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in ((3, 4), (5,), (2, 2, 2), (1,))]
    for p in made[:3]:
        p.grad = scale * torch.randn(p.shape, generator=generator, dtype=dtype)
    return made


def gradients(made):
    return [p.grad for p in made if p.grad is not None]


@pytest.mark.verifies("eq-clip-norm")
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 100.0])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_clipping_by_norm_is_torchs(settings, max_norm, dtype):
    ends = []
    for clip in (clip_grad_norm_, nn.utils.clip_grad_norm_):
        made = parameters(dtype)
        norm = clip(iter(made), max_norm, **settings)
        ends.append([norm, *gradients(made)])
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-12)


@pytest.mark.verifies("eq-clip-norm")
def test_direction_stays_and_length_is_bounded(close):
    made = parameters(scale=10.0)
    before = torch.cat([g.flatten() for g in gradients(made)])
    norm = clip_grad_norm_(made, 2.0)
    after = torch.cat([g.flatten() for g in gradients(made)])
    close(norm, before.norm())
    assert after.norm().item() == pytest.approx(2, rel=1e-6)
    close(after / after.norm(), before / before.norm())


@given(st.floats(0, 3))
def test_clipping_by_value_is_torchs(value):
    ends = []
    for clip in (clip_grad_value_, nn.utils.clip_grad_value_):
        made = parameters()
        clip(made, value)
        ends.append(gradients(made))
    torch.testing.assert_close(*ends)


def test_one_tensor_or_none(close):
    (w,) = parameters()[:1]
    before = w.grad.clone()
    close(clip_grad_norm_(w, 1e9), before.norm())
    close(w.grad, before)
    clip_grad_value_(w, 0.1)
    assert w.grad.abs().max() == 0.1
    assert clip_grad_norm_([nn.Parameter(torch.ones(2))], 1.0) == 0
    clip_grad_value_([], 1.0)


def test_norm_that_is_not_finite():
    made = parameters()
    made[1].grad[0] = math.nan
    with pytest.raises(RuntimeError, match="parameters must have gradients of finite norm, got nan"):
        clip_grad_norm_(made, 1.0, error_if_nonfinite=True)
    assert made[0].grad.isfinite().all()
    assert clip_grad_norm_(made, 1.0).isnan()
    assert made[0].grad.isnan().all()


def test_norms_of_matrices_by_layer():
    net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2))
    net[4].requires_grad_(False)
    net(torch.randn(5, 1, 4)).square().sum().backward()
    found = gradient_norms(net)
    assert list(found) == ["0.weight", "2.weight", "3.weight"]
    for name, value in found.items():
        assert value == pytest.approx(np.sqrt((dict(net.named_parameters())[name].grad.numpy() ** 2).mean()))


@pytest.mark.verifies("eq-jacobian-product")
def test_gradient_is_a_product_of_jacobians(close):
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double() for _ in range(5)]
    h = [torch.randn(4, dtype=DOUBLE)]
    for layer in layers:
        h.append(layer(h[-1]))
    product = torch.eye(4, dtype=DOUBLE)
    for layer, inputs in zip(layers, h[:-1], strict=True):
        product = torch.func.jacrev(layer)(inputs.detach()) @ product
    close(torch.func.jacrev(nn.Sequential(*layers))(h[0]), product)


@pytest.mark.verifies("eq-layer-factor")
def test_factor_of_a_layer():
    """Random weights, and derivatives that have nothing to do with them: n Var[w] E[g'^2] a layer."""
    torch.manual_seed(0)
    slope = torch.rand(2000, dtype=DOUBLE)
    W = 0.03 * torch.randn(2000, 2000, dtype=DOUBLE)
    delta = torch.randn(2000, dtype=DOUBLE)
    found = (W.T @ (slope * delta)).square().mean() / delta.square().mean()
    assert found.item() == pytest.approx(2000 * 0.03**2 * (slope**2).mean().item(), rel=0.1)


@pytest.mark.verifies("eq-residual-jacobian")
def test_residual_adds_the_identity_to_the_jacobian(close):
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double()
    x = torch.randn(4, dtype=DOUBLE)
    whole, inner = (torch.func.jacrev(f)(x) for f in (Residual(block), block))
    close(whole, torch.eye(4, dtype=DOUBLE) + inner)
    assert [name for name, _ in Residual(block).named_parameters()] == ["block.0.weight", "block.0.bias"]


def sphere(x):
    return (x - 1).square().sum(1)


def test_search_finds_a_minimum_and_counts():
    found = genetic_search(sphere, torch.zeros(4, dtype=DOUBLE), population=40, generations=80, elite=8)
    assert isinstance(found, Evolution)
    assert found.evaluations == 40 * 80
    assert len(found.losses) == 80
    assert found.losses == sorted(found.losses, reverse=True)  # the elite survives, so the best never gets worse
    assert sphere(found.best[None]).item() == found.losses[-1] < 0.02 < found.losses[0]
    assert found.best.dtype == DOUBLE


def test_generations_are_bred_as_described():
    seen = []

    def loss(individuals):
        seen.append(individuals.clone())
        return sphere(individuals)

    start = torch.full((20_000,), 3.0, dtype=DOUBLE)
    genetic_search(loss, start, population=6, generations=3, elite=2, spread=0.2, decay=0.5)
    first, second, third = seen
    assert (first - 3).std().item() == pytest.approx(0.2, rel=0.02)
    parents = first[sphere(first).argsort()[:2]]
    torch.testing.assert_close(second[:2], parents, rtol=0, atol=0)
    for child in second[2:]:
        distance = torch.minimum(*(child - parents).abs())
        assert distance.mean().item() < 0.1 * math.sqrt(2 / math.pi) * 1.02
        residual = torch.stack([child - p for p in parents])
        closest = residual.gather(0, residual.abs().argmin(0)[None])[0]
        assert 0.05 < closest.std().item() < 0.1
    mixed = [(child - parents[0]).abs().mean().item() for child in second[2:]]
    assert max(mixed) > 0.1  # some children have genes of both
    assert len({tuple(row[:3].tolist()) for row in second}) == 6
    assert third.shape == first.shape


def test_a_generation_is_bred_as_described(close):
    """The draws, in their order, from a generator of the same seed; in the type of the start."""
    seen, start = [], torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)

    def loss(x):
        seen.append(x.clone())
        return (x**2).sum(1)

    genetic_search(loss, start, population=9, generations=2, elite=4, spread=0.3, decay=0.5, seed=7)
    generator = torch.Generator().manual_seed(7)
    draw = {"generator": generator, "dtype": DOUBLE}
    first = start + 0.3 * torch.randn(9, 3, **draw)
    best = first[(first**2).sum(1).argsort()[:4]]
    mother, father = torch.randint(4, (2, 5), generator=generator)
    heads = torch.rand(5, 3, generator=generator) < 0.5
    children = torch.where(heads, best[mother], best[father]) + 0.15 * torch.randn(5, 3, **draw)
    close(seen[0], first)
    close(seen[1], torch.cat([best, children]))


def test_clipping_divides_by_a_little_more_than_the_norm(close):
    p = torch.nn.Parameter(torch.zeros(2, dtype=DOUBLE))
    p.grad = torch.tensor([3e-4, 4e-4], dtype=DOUBLE)
    clip_grad_norm_([p], 1e-4)
    close(p.grad, torch.tensor([3e-4, 4e-4], dtype=DOUBLE) * 1e-4 / (5e-4 + 1e-6))


def test_seed_nan_and_defaults():
    start = torch.zeros(3)
    runs = [genetic_search(sphere, start, generations=5, **s) for s in ({}, {"seed": 0}, {"seed": 1})]
    assert torch.equal(runs[0].best, runs[1].best)
    assert not torch.equal(runs[0].best, runs[2].best)
    assert runs[0].evaluations == 250
    assert len(genetic_search(sphere, start).losses) == 100
    told = genetic_search(sphere, start, population=50, generations=100, elite=10, spread=0.5, decay=0.98)
    assert torch.equal(genetic_search(sphere, start).best, told.best)
    half = genetic_search(lambda x: torch.where(x[:, 0] > 0, sphere(x), math.nan), start, generations=30)
    assert half.best[0] > 0
    once = genetic_search(sphere, start, generations=1, population=2, elite=1)
    assert once.evaluations == 2
    assert len(once.losses) == 1


START = torch.zeros(2)
SPARSE = nn.Parameter(torch.zeros(2, 2))
SPARSE.grad = torch.eye(2).to_sparse()
REFUSED = {
    "model": (gradient_norms, (1,), TypeError, "model must be a torch.nn.Module, got 1 (int)"),
    "no gradients": (gradient_norms, (nn.Linear(1, 1),), ValueError, "model must have gradients, got none: call back"),
    "value": (clip_grad_value_, ([], -1.0), ValueError, "clip_value must be a number in [0, inf), got -1.0"),
    "norm": (clip_grad_norm_, ([], -1.0), ValueError, "max_norm must be a number in [0, inf), got -1.0"),
    "type": (clip_grad_norm_, ([], 1.0, 0.0), ValueError, "norm_type must be a number in (0, inf], got 0.0"),
    "sparse": (clip_grad_norm_, (SPARSE, 1.0), TypeError, "parameters must have dense gradients, got a torch.sparse"),
    "sparse value": (clip_grad_value_, (SPARSE, 1.0), TypeError, "parameters must have dense gradients, got a torch."),
    "block": (Residual, (max,), TypeError, "block must be a torch.nn.Module, got <built-in function max>"),
    "shape": (Residual(nn.Linear(2, 3)), (torch.ones(1, 2),), ValueError, "block must keep the shape (1, 2), got torc"),
    "start": (genetic_search, (sphere, torch.zeros(1, 2)), ValueError, "start must have shape (D), got torch.float32"),
    "population": (
        lambda: genetic_search(sphere, START, population=1), (), ValueError, "population must be an integer >= 2, got 1"
    ),
    "generations": (
        lambda: genetic_search(sphere, START, generations=0), (), ValueError, "generations must be an integer >= 1, got"
    ),
    "elite": (
        lambda: genetic_search(sphere, START, population=5, elite=5), (), ValueError, "elite must be an integer in [1, "
    ),
    "spread": (lambda: genetic_search(sphere, START, spread=0.0), (), ValueError, "spread must be a number in (0, inf"),
    "decay": (lambda: genetic_search(sphere, START, decay=1.1), (), ValueError, "decay must be a number in (0, 1], go"),
    "seed": (lambda: genetic_search(sphere, START, seed=-1), (), ValueError, "seed must be an integer >= 0, got -1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_names_the_offender(case, refuses):
    refuses(*REFUSED[case])
