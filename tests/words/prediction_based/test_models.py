"""Mirrors dlref/words/prediction_based/models.py."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dlref.words import CBOW, SkipGram


def filled(model, seed=0):
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            p.normal_(generator=torch.Generator().manual_seed(seed + k))
    return model


@pytest.mark.verifies("eq-skip-gram", "eq-skip-gram-gradients")
def test_fact_of_a_step():
    model = SkipGram(3, 2, dtype=torch.float64)
    with torch.no_grad():
        model.input.weight[0] = torch.tensor([1.0, 0])
        model.output.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [-1, 0]]))
    word, target = torch.tensor([0]), torch.tensor([1])
    loss = F.cross_entropy(model(word), target)
    loss.backward()
    assert model(word).softmax(1)[0].tolist() == pytest.approx([0.6652, 0.2447, 0.0900], abs=5e-5)
    assert loss.item() == pytest.approx(1.4076, abs=5e-5)
    du, dv = model.input.weight.grad, model.output.weight.grad
    assert du[0].tolist() == pytest.approx([0.5752, -0.7553], abs=6e-5)
    assert dv.flatten().tolist() == pytest.approx([0.6652, 0, -0.7553, 0, 0.0900, 0], abs=6e-5)
    with torch.no_grad():
        model.output.weight[1] -= 0.5 * dv[1]  # the target's rule alone
        assert F.cross_entropy(model(word), target).item() != pytest.approx(0.7378, abs=1e-3)
        model.output.weight[[0, 2]] -= 0.5 * dv[[0, 2]]
        model.input.weight -= 0.5 * du
        assert F.cross_entropy(model(word), target).item() == pytest.approx(0.7378, abs=5e-5)


def test_fact_of_the_targets_rule_alone():
    u, v = np.array([1.0, 0]), np.array([[1.0, 0], [0, 1], [-1, 0]])
    p = np.exp(v @ u) / np.exp(v @ u).sum()
    v[1] += 0.5 * (1 - p[1]) * u
    moved = np.exp(v @ u) / np.exp(v @ u).sum()
    assert -np.log(moved[1]) == pytest.approx(1.1364, abs=5e-5)


@pytest.mark.verifies("eq-cbow", "eq-cbow-gradient")
@pytest.mark.parametrize(
    ("mode", "p", "loss", "gradient"), [("mean", 0.4519, 0.7944, -0.1370), ("sum", 0.5761, 0.5514, -0.2119)]
)
def test_fact_of_mean_and_sum(mode, p, loss, gradient):
    model = CBOW(3, 2, mode=mode, dtype=torch.float64)
    with torch.no_grad():
        model.input.weight[:2] = torch.eye(2)
        model.output.weight.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
    context, target = torch.tensor([[0, 1]]), torch.tensor([2])
    found = F.cross_entropy(model(context), target)
    found.backward()
    assert model(context).softmax(1)[0, 2].item() == pytest.approx(p, abs=5e-5)
    assert found.item() == pytest.approx(loss, abs=5e-5)
    assert model.input.weight.grad[:2].flatten().tolist() == pytest.approx([gradient] * 4, abs=5e-5)


@pytest.mark.verifies("eq-skip-gram")
def test_fact_of_sums_over_a_window():
    """A mean over the pairs divides the step by the number of neighbours, about twice the window."""
    window = torch.tensor([1, 2, 3, 4])  # two on each side
    gradients = []
    for reduction in ("sum", "mean"):
        model = filled(SkipGram(5, 3, dtype=torch.float64))
        F.cross_entropy(model(torch.zeros(4, dtype=torch.long)), window, reduction=reduction).backward()
        gradients.append(model.output.weight.grad)
    torch.testing.assert_close(gradients[0], 2 * 2 * gradients[1])


def test_scores_are_dot_products():
    model = filled(SkipGram(5, 3))
    torch.testing.assert_close(model(torch.tensor([4, 0])), model.input.weight[[4, 0]] @ model.output.weight.T)


@pytest.mark.parametrize("mode", ["mean", "sum"])
def test_order_and_gaps_do_not_matter(mode):
    model = filled(CBOW(6, 3, mode=mode))
    context = torch.tensor([[4, 1, -1, 2], [5, 5, -1, -1]])
    made = model(context)
    torch.testing.assert_close(model(context.flip(1)), made)
    vectors = model.input.weight
    h = torch.stack((vectors[[4, 1, 2]].mean(0), vectors[5]))
    if mode == "sum":
        h = torch.stack((vectors[[4, 1, 2]].sum(0), 2 * vectors[5]))
    torch.testing.assert_close(model.hidden(context), h)
    torch.testing.assert_close(made, h @ model.output.weight.T)
    assert model.hidden(torch.tensor([[-1, -1]])).tolist() == [[0, 0, 0]]
    assert model.hidden(torch.zeros(1, 0, dtype=torch.long)).tolist() == [[0, 0, 0]]


def test_gaps_get_no_gradient():
    model = filled(CBOW(4, 2))
    model(torch.tensor([[1, -1]])).sum().backward()
    assert model.input.weight.grad[0].tolist() == [0, 0]
    assert (model.input.weight.grad[1] != 0).any()


@pytest.mark.parametrize("make", [SkipGram, CBOW])
def test_start_settings_and_states(make):
    model = make(400, 50)
    bound = 1 / 100
    assert 0.95 * bound < model.input.weight.abs().max().item() <= bound
    assert model.input.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert (model.output.weight == 0).all()
    assert model.input.weight.shape == model.output.weight.shape == (400, 50)
    assert model.output.bias is None
    assert (model.num_embeddings, model.embedding_dim) == (400, 50)
    assert repr(model).startswith(f"{make.__name__}(\n  400, 50")
    twin = make(400, 50, dtype=torch.float64, device="cpu")
    twin.load_state_dict(model.state_dict())
    assert twin.input.weight.dtype == twin.output.weight.dtype == torch.float64
    far = make(3, 2, device="meta")
    assert far.input.weight.is_meta
    assert far.output.weight.is_meta


def test_modes():
    assert CBOW(3, 2).mode == "mean"
    assert "mode='sum'" in repr(CBOW(3, 2, mode="sum"))


def test_bad_input_names_the_offender(unchecked):
    for make in (SkipGram, CBOW):
        with pytest.raises(ValueError, match="num_embeddings must be an integer >= 1, got 0"):
            make(0, 2)
        with pytest.raises(TypeError, match=r"embedding_dim must be an integer >= 1, got 2.0 \(float\)"):
            make(2, 2.0)
    with pytest.raises(ValueError, match="mode must be one of 'mean', 'sum', got 'max'"):
        CBOW(2, 2, mode="max")
