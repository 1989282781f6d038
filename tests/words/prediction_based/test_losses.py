"""Mirrors dlref/words/prediction_based/losses.py."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional as F

from dlref.words import negative_sampling_loss, ranking_loss


def scores(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.verifies("eq-negative-sampling")
@given(st.integers(0, 2**31), st.integers(0, 6))
def test_is_binary_cross_entropy(seed, K):
    positive, negative = scores(seed, 4), scores(seed + 1, 4, K)
    every = torch.cat((positive[:, None], negative), 1)
    labels = torch.zeros_like(every)
    labels[:, 0] = 1
    expected = F.binary_cross_entropy_with_logits(every, labels, reduction="none").sum(1)
    made = negative_sampling_loss(positive, negative, reduction="none")
    torch.testing.assert_close(made, expected)
    torch.testing.assert_close(negative_sampling_loss(positive, negative), expected.mean())
    torch.testing.assert_close(negative_sampling_loss(positive, negative, reduction="mean"), expected.mean())
    torch.testing.assert_close(negative_sampling_loss(positive, negative, reduction="sum"), expected.sum())


def test_fact_of_the_start():
    loss = negative_sampling_loss(torch.zeros(3, 2), torch.zeros(3, 2, 5))
    assert loss.item() == pytest.approx(6 * math.log(2), abs=1e-6)
    assert loss.item() == pytest.approx(4.1589, abs=5e-5)


def test_extreme_scores_stay_finite():
    far = torch.tensor([1e4, -1e4])
    made = negative_sampling_loss(far, far[:, None], reduction="none")
    assert made.tolist() == [1e4, 1e4]
    assert negative_sampling_loss(far.half(), far[:, None].half(), reduction="none").isfinite().all()
    assert negative_sampling_loss(far[:0], far[:0, None], reduction="sum").item() == 0


def test_gradients():
    positive, negative = (scores(k, 3, *s).requires_grad_() for k, s in ((0, ()), (1, (4,))))
    assert gradcheck(negative_sampling_loss, (positive, negative))
    assert gradcheck(lambda a, b: ranking_loss(a, b, margin=0.7), (positive, negative[:, 0].detach().requires_grad_()))


@pytest.mark.verifies("eq-ranking")
def test_fact_of_the_margin():
    s, r = torch.tensor([1.2], requires_grad=True), torch.tensor([0.5], requires_grad=True)
    loss = ranking_loss(s, r)
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert (s.grad.tolist(), r.grad.tolist()) == ([-1], [1])
    at = torch.tensor([1.5], requires_grad=True)
    ranking_loss(at, torch.tensor([0.5])).backward()
    assert at.grad.item() == 0  # ahead by the margin: nothing is changed
    turned_round = (s - (r + 1)).clamp(min=0)  # nothing is asked of the pair that violates the margin
    assert turned_round.item() == 0


@given(st.integers(0, 2**31), st.floats(0, 3))
def test_is_torchs_ranking_loss(seed, margin):
    s, r = scores(seed, 5, 2), scores(seed + 1, 5, 2)
    for reduction in ("mean", "sum", "none"):
        expected = F.margin_ranking_loss(s, r, torch.ones_like(s), margin=margin, reduction=reduction)
        torch.testing.assert_close(ranking_loss(s, r, margin=margin, reduction=reduction), expected)
    torch.testing.assert_close(ranking_loss(s, r), ranking_loss(s, r, margin=1.0, reduction="mean"))


def test_bad_input_names_the_offender(unchecked):
    s = torch.zeros(3)
    with pytest.raises(ValueError, match=r"negative must have shape \(3, 'K'\), got torch.float32 tensor of shape"):
        negative_sampling_loss(s, torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"corrupted must have the shape of score, \(3,\), got torch.float32 tensor"):
        ranking_loss(s, torch.zeros(2))
    with pytest.raises(ValueError, match=r"margin must be a number in \[0, inf\)"):
        ranking_loss(s, s, margin=-1.0)
    for call in (lambda **k: ranking_loss(s, s, **k), lambda **k: negative_sampling_loss(s, s[:, None], **k)):
        with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sum', 'none', got 'max'"):
            call(reduction="max")
    for name, call in (("positive", negative_sampling_loss), ("score", ranking_loss)):
        with pytest.raises(TypeError, match=f"{name} must hold floating-point numbers"):
            call(s.long(), s[:, None])
    with pytest.raises(TypeError, match="negative must hold floating-point numbers"):
        negative_sampling_loss(s, s[:, None].long())
    with pytest.raises(TypeError, match="corrupted must hold floating-point numbers"):
        ranking_loss(s, s.long())
