"""Mirrors dlref/detection/faces/losses.py."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners
from torch.autograd import gradcheck
from torch.nn import functional as F

from dlref.detection import (
    Triplets,
    batch_triplet_loss,
    contrastive_loss,
    embedding_distances,
    mine_triplets,
    triplet_loss,
)

PLAIN = pml_distances.LpDistance(normalize_embeddings=False)
SQUARED = pml_distances.LpDistance(normalize_embeddings=False, power=2)


def batch(seed: int, count: int = 10, people: int = 3, grid: float | None = None):
    """Embeddings and labels; on a grid many distances are equal."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    if grid:
        x = (x / grid).round() * grid
    return x, torch.randint(people, (count,), generator=generator)


def as_set(triplets) -> set[tuple[int, ...]]:
    return set(zip(*(part.tolist() for part in triplets), strict=True))


@pytest.mark.verifies("eq-embedding-distance")
@given(st.integers(0, 2**31))
def test_distances_are_cdist(seed):
    x, y = batch(seed)[0], batch(seed + 1, 7)[0]
    expected = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(embedding_distances(x, y), expected)
    torch.testing.assert_close(embedding_distances(x, y, squared=True), expected**2)


def test_fact_of_the_gradient_at_zero():
    """The root of a sum of squares gives NaN there; the norm 0."""
    x = torch.zeros(2, 3, requires_grad=True)
    (x[0] - x[1]).square().sum().sqrt().backward()
    assert x.grad is not None
    assert x.grad.isnan().all()
    x.grad = None
    embedding_distances(x, x).sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2
    far = torch.full((30, 3), 1e3) + torch.arange(30)[:, None] * 1e-3
    assert embedding_distances(far, far).diagonal().tolist() == [0.0] * 30


@pytest.mark.verifies("eq-contrastive")
@given(st.integers(0, 2**31), st.floats(0.1, 3))
def test_contrastive_loss_by_definition(seed, margin):
    x, who = batch(seed)
    pairs = torch.combinations(torch.arange(len(x)))
    d = (x[pairs[:, 0]] - x[pairs[:, 1]]).norm(dim=1)
    same = who[pairs[:, 0]] == who[pairs[:, 1]]
    made = contrastive_loss(d, same, margin=margin, reduction="none")
    by_hand = [v**2 if s else max(0.0, margin - v) ** 2 for v, s in zip(d.tolist(), same.tolist(), strict=True)]
    assert made.tolist() == pytest.approx(by_hand)
    assert contrastive_loss(d, same.long(), margin=margin).item() == pytest.approx(sum(by_hand) / len(by_hand))
    assert contrastive_loss(d, same, margin=margin, reduction="sum").item() == pytest.approx(sum(by_hand))


@pytest.mark.verifies("eq-triplet")
@given(st.integers(0, 2**31), st.floats(0, 2))
def test_triplet_loss_is_torchs(seed, margin):
    a, p, n = (batch(seed + k)[0] for k in range(3))
    plain = F.triplet_margin_loss(a, p, n, margin=margin, eps=0, reduction="none") if margin > 0 else None
    made = triplet_loss(a, p, n, margin=margin, squared=False, reduction="none")
    if plain is not None:
        torch.testing.assert_close(made, plain)
    near, far = (a - p).square().sum(1), (a - n).square().sum(1)
    squared = triplet_loss(a, p, n, margin=margin, reduction="none")
    torch.testing.assert_close(squared, (near - far + margin).clamp(min=0))
    torch.testing.assert_close(triplet_loss(a, p, n, margin=margin), squared.mean())
    torch.testing.assert_close(triplet_loss(a, p, n, margin=margin, reduction="sum"), squared.sum())


def test_fact_of_one_triplet():
    a, p, n = torch.tensor([[0.0], [1.0], [1.15]], dtype=torch.float64)
    assert triplet_loss(a, p, n, margin=0.2).item() == 0
    assert triplet_loss(a, p, n, margin=0.2, squared=False).item() == pytest.approx(0.05)


def test_fact_of_collapse():
    """All embeddings equal: the loss is the margin, and no gradient leads away."""
    x = torch.ones(6, 4, requires_grad=True)
    who = torch.tensor([0, 0, 1, 1, 2, 2])
    for squared, mining in itertools.product((False, True), ("all", "hard", "batch_hard")):
        x.grad = None
        loss = batch_triplet_loss(x, who, margin=0.3, squared=squared, mining=mining)
        assert loss.item() == pytest.approx(0.3)
        loss.backward()
        assert x.grad is not None
        assert x.grad.abs().max() == 0
    assert batch_triplet_loss(x, who, mining="semihard").item() == 0  # no negative is farther than the positive


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.2, 1.0]), st.sampled_from([None, 0.5]))
def test_mined_triplets_are_pytorch_metric_learnings(seed, margin, grid):
    x, who = batch(seed, grid=grid)
    d = embedding_distances(x, x)
    for mining in ("all", "semihard", "hard"):
        theirs = miners.TripletMarginMiner(margin, mining, distance=PLAIN)(x, who)
        made = mine_triplets(d, who, margin=margin, mining=mining)
        assert isinstance(made, Triplets)
        gaps = d[made.anchor, made.negative] - d[made.anchor, made.positive]
        near_the_limit = {0.0, margin}
        sure = {t for t, g in zip(zip(*(p.tolist() for p in made), strict=True), gaps.tolist(), strict=True)
                if all(abs(g - limit) > 1e-9 for limit in near_the_limit)}  # fmt: skip
        other = as_set(theirs)
        unsure = {
            t for t in other if any(abs(d[t[0], t[2]] - d[t[0], t[1]] - limit) < 1e-9 for limit in near_the_limit)
        }
        assert sure == other - unsure
        assert made.anchor.tolist() == sorted(made.anchor.tolist())
    if grid is None:
        theirs = as_set(miners.BatchHardMiner(distance=PLAIN)(x, who))
        assert as_set(mine_triplets(d, who)) == theirs


@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.2, 1.0]))
def test_mined_triplets_by_definition(seed, margin):
    """On a grid, where many are equal, with squares that are exact."""
    x, who = batch(seed, grid=0.5)
    d = embedding_distances(x, x, squared=True)
    found = {"all": set(), "semihard": set(), "hard": set()}
    for a, p, n in itertools.product(range(len(x)), repeat=3):
        if a != p and who[a] == who[p] != who[n]:
            gap = (d[a, n] - d[a, p]).item()
            if gap <= margin:
                found["all"].add((a, p, n))
                found["hard" if gap <= 0 else "semihard"].add((a, p, n))
    for mining, expected in found.items():
        assert as_set(mine_triplets(d, who, margin=margin, mining=mining)) == expected
    for a, p, n in as_set(mine_triplets(d, who)):
        assert d[a, p] == max(d[a, k] for k in range(len(x)) if k != a and who[k] == who[a])
        assert d[a, n] == min(d[a, k] for k in range(len(x)) if who[k] != who[a])


@given(st.integers(0, 2**31), st.booleans())
def test_batch_loss_is_pytorch_metric_learnings(seed, squared):
    x, who = batch(seed)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    loss = pml_losses.TripletMarginLoss(margin=0.3, distance=SQUARED if squared else PLAIN)
    expected = loss(theirs, who)
    made = batch_triplet_loss(ours, who, margin=0.3, squared=squared, mining="all")
    assert made.item() == pytest.approx(expected.item())
    made.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_batch_hard_counts_what_is_satisfied():
    x = torch.tensor([[0.0], [1.0], [1.1], [9.0], [9.1]])
    who = torch.tensor([0, 0, 1, 2, 2])
    # anchors 0: 1 - 1.1 + 0.2 = 0.1, 1: 1 - 0.1 + 0.2 = 1.1, 2: none; 3 and 4 are satisfied
    assert batch_triplet_loss(x, who).item() == pytest.approx((0.1 + 1.1 + 0 + 0) / 4)
    assert batch_triplet_loss(x, who, mining="all").item() == pytest.approx((0.1 + 1.1) / 2)


def test_an_empty_batch_is_no_error():
    for mining in ("all", "semihard", "hard", "batch_hard"):
        assert batch_triplet_loss(torch.zeros(0, 3), torch.zeros(0).long(), mining=mining).item() == 0


def test_nothing_to_learn_from_is_no_error():
    x = torch.randn(4, 2, requires_grad=True)
    for who in (torch.zeros(4).long(), torch.arange(4)):
        for mining in ("all", "semihard", "hard", "batch_hard"):
            loss = batch_triplet_loss(x, who, mining=mining)
            assert loss.item() == 0
            loss.backward()
    far = torch.tensor([[0.0], [0.1], [9.0], [9.1]], requires_grad=True)
    loss = batch_triplet_loss(far, torch.tensor([0, 0, 1, 1]), mining="all")
    assert loss.item() == 0
    loss.backward()
    assert far.grad is not None
    assert far.grad.abs().max() == 0


def test_gradients():
    x, who = batch(3)
    for mining in ("all", "batch_hard"):
        assert gradcheck(lambda e, m=mining: batch_triplet_loss(e, who, mining=m), x.clone().requires_grad_())
    d = torch.tensor([0.3, 1.4, 0.7], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: contrastive_loss(v, torch.tensor([1, 0, 0])), d)


def test_a_constant_gradient_at_the_margin():
    """Of plain distances the gradient has length one, however near; of squares it vanishes."""
    for gap in (1.0, 1e-3):
        x = torch.tensor([[0.0], [gap], [0.0]], requires_grad=True)
        triplet_loss(x[[0]], x[[1]], x[[2]], squared=False).backward()
        assert x.grad is not None
        assert x.grad[1].item() == pytest.approx(1)
        x.grad = None
        triplet_loss(x[[0]], x[[1]], x[[2]]).backward()
        assert x.grad[1].item() == pytest.approx(2 * gap)


X, WHO = torch.zeros(2, 3), torch.zeros(2).long()
REFUSED = [
    (embedding_distances, (X, X[:, :2]), ValueError, "second must have shape (M, D=3)"),
    (embedding_distances, (X[0], X), ValueError, "first must have shape (N, D)"),
    (contrastive_loss, (X[:, 0], WHO.float()), ValueError, "same must be truth values of shape (2,), got"),
    (contrastive_loss, (X[:, 0], WHO[:1]), ValueError, "same must be truth values of shape (2,), got"),
    (triplet_loss, (X, X[:1], X), ValueError, "positive must have the anchor's shape (2, 3), got"),
    (triplet_loss, (X, X, X[:1]), ValueError, "negative must have the anchor's shape (2, 3), got"),
    (mine_triplets, (X, WHO), ValueError, "distances must have shape (B=2, B=2)"),
    (mine_triplets, (X[:, :2], WHO[:1]), ValueError, "distances must have shape (B=1, B=1)"),
    (mine_triplets, (X[:, :2], WHO.float()), ValueError, "labels must be whole numbers, one a picture, got"),
    (mine_triplets, (X[:, :2], WHO[0]), ValueError, "labels must be whole numbers, one a picture, got"),
    (mine_triplets, (X[:, :2] * float("nan"), WHO), ValueError, "distances must not be NaN"),
    (batch_triplet_loss, (X * float("nan"), WHO), ValueError, "distances must not be NaN"),
    (contrastive_loss, (WHO, WHO), TypeError, "distance must hold floating-point numbers, got"),
    (
        contrastive_loss,
        (X[:, 0], WHO[:1]),
        ValueError,
        "same must be truth values of shape (2,), got torch.int64 tensor",
    ),
    (triplet_loss, (X.long(), X, X), TypeError, "anchor must hold floating-point numbers, got"),
    (triplet_loss, (X, X.long(), X), TypeError, "positive must hold floating-point numbers, got"),
    (triplet_loss, (X, X, X.long()), TypeError, "negative must hold floating-point numbers, got"),
    (triplet_loss, (X[0, 0], X, X), ValueError, "anchor must have shape (..., D), got"),
    (triplet_loss, (X, X[0, 0], X), ValueError, "positive must have shape (..., D), got"),
    (triplet_loss, (X, X[:1], X), ValueError, "positive must have the anchor's shape (2, 3), got torch.float32 tensor"),
    (
        mine_triplets,
        (X[:, :2], WHO.float()),
        ValueError,
        "labels must be whole numbers, one a picture, got torch.float32",
    ),
    (batch_triplet_loss, (X[0], WHO), ValueError, "first must have shape (N, D)"),
]


@pytest.mark.parametrize(("function", "arguments", "error", "message"), REFUSED)
def test_bad_input_is_refused(refuses, function, arguments, error, message):
    refuses(function, arguments, error, message)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"^margin must be a number in \(0, inf\), got 0.0$"):
        contrastive_loss(X[:, 0], WHO, margin=0.0)
    with pytest.raises(ValueError, match=r"^margin must be a number in \[0, inf\), got -1.0$"):
        triplet_loss(X, X, X, margin=-1.0)
    with pytest.raises(ValueError, match=r"^reduction must be one of 'mean', 'sum', 'none', got 'max'"):
        triplet_loss(X, X, X, reduction="max")
    with pytest.raises(ValueError, match=r"^reduction must be one of"):
        contrastive_loss(X[:, 0], WHO, reduction="max")
    with pytest.raises(ValueError, match=r"^mining must be one of 'all', 'semihard', 'hard', 'batch_hard', got 'easy'"):
        mine_triplets(X[:, :2], WHO, mining="easy")
    with pytest.raises(ValueError, match=r"^margin must be a number in \[0, inf\), got -1.0$"):
        mine_triplets(X[:, :2], WHO, margin=-1.0)


def test_defaults():
    assert contrastive_loss(torch.tensor([0.5, 1.5]), torch.tensor([0, 0])).item() == 0.125  # margin 1, the mean
    a, p, n = torch.tensor([[0.0], [0.0], [0.25]], dtype=torch.float64)
    assert triplet_loss(a, p, n).item() == pytest.approx(0.2 - 0.0625)
    d = embedding_distances(torch.tensor([[0.0], [0.0], [0.5]]), torch.tensor([[0.0], [0.0], [0.5]]))
    assert len(mine_triplets(d, torch.tensor([0, 0, 1]), mining="all").anchor) == 0  # farther than 0.2


def test_nothing_is_no_error():
    none = torch.zeros(0, 3)
    assert contrastive_loss(none[:, 0], none[:, 0].long(), reduction="none").shape == (0,)
    assert triplet_loss(none, none, none, reduction="sum").item() == 0


def test_a_triplet_at_the_margin_is_satisfied():
    x, who = torch.tensor([[0.0], [1.0], [1.25]]), torch.tensor([0, 0, 1])
    # anchor 0: 1 - 1.25 + 0.25 = 0; anchor 1: 1 - 0.25 + 0.25 = 1; the mean is over the one that costs
    assert batch_triplet_loss(x, who, margin=0.25, mining="all").item() == 1
