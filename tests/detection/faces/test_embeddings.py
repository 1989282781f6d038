"""Mirrors dlref/detection/faces/embeddings.py."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlref.detection import Siamese, SimilarityHead, Unit, embedding_network


def test_unit_rows():
    x = torch.randn(5, 4)
    made = Unit()(x)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(made * x.norm(dim=1, keepdim=True), x)
    assert Unit()(torch.zeros(2, 4)).tolist() == [[0.0] * 4] * 2


def test_shapes_of_the_network():
    net = embedding_network(7, in_channels=3, width=4).eval()
    made = net(torch.randn(2, 3, 16, 33))
    assert made.shape == (2, 7)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(2))
    plain = embedding_network(7, width=4, unit=False)
    assert not any(isinstance(layer, Unit) for layer in plain)
    widths = [layer.out_channels for layer in embedding_network(width=5) if isinstance(layer, nn.Conv2d)]
    assert widths == [5, 10, 20, 20]
    assert [layer.p for layer in embedding_network(dropout=0.3) if isinstance(layer, nn.Dropout)] == [0.3]
    assert embedding_network()[-2].out_features == 32


@pytest.mark.verifies("eq-similarity-head")
@pytest.mark.parametrize("kind", ["absolute", "squared", "chi_squared"])
def test_heads_by_hand(kind):
    head = SimilarityHead(2, kind)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[2.0, -1.0]]))
        head.linear.bias.fill_(0.5)
    f, g = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 4.0]])
    differences = {"absolute": (2, 3), "squared": (4, 9), "chi_squared": (4 / 4, 9 / 5)}[kind]
    assert head(f, g).item() == pytest.approx(0.5 + 2 * differences[0] - differences[1])
    torch.testing.assert_close(head(f, g), head(g, f))  # whichever comes first
    assert head(f, f).item() == 0.5
    many, others = torch.randn(3, 2), torch.randn(4, 2)
    table = head(many[:, None], others)
    assert table.shape == (3, 4)
    torch.testing.assert_close(table[2, 1], head(many[2], others[1]))


def test_fact_of_nothing_over_nothing():
    """As after a rectifier: both features 0."""
    f = torch.tensor([[0.0, 1.0]], requires_grad=True)
    g = torch.tensor([[0.0, 2.0]])
    assert ((f - g) ** 2 / (f + g)).isnan().any()
    made = SimilarityHead(2, "chi_squared")(f, g)
    assert made.isfinite()
    made.sum().backward()
    assert f.grad is not None
    assert f.grad.isfinite().all()


def test_a_pair_goes_through_one_network():
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    pair = Siamese(net, SimilarityHead(3))
    x, y = torch.randn(2, 4, 1, 2, 3)
    made = pair(x, y)
    torch.testing.assert_close(made, pair.head(net(x), net(y)))
    assert made.shape == (4,)
    names = {name for name, _ in pair.named_parameters()}
    assert names == {"network.1.weight", "network.1.bias", "head.linear.weight", "head.linear.bias"}
    F.binary_cross_entropy_with_logits(made, torch.ones(4)).backward()
    assert all(p.grad is not None for p in pair.parameters())


def test_settings():
    head = SimilarityHead(4, "squared")
    assert (head.features, head.kind) == (4, "squared")
    assert repr(head).startswith("SimilarityHead(\n  4, kind='squared'")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: embedding_network(0), "features must be an integer >= 1, got 0"),
        (lambda: embedding_network(in_channels=0), "in_channels must be an integer >= 1, got 0"),
        (lambda: embedding_network(width=0), "width must be an integer >= 1, got 0"),
        (lambda: embedding_network(dropout=1.0), "dropout must be a number in [0, 1), got 1.0"),
        (lambda: SimilarityHead(0), "features must be an integer >= 1, got 0"),
        (lambda: SimilarityHead(2, "cosine"), "kind must be one of 'absolute', 'squared', 'chi_squared', got"),
        (lambda: SimilarityHead(3)(torch.zeros(2, 2), torch.zeros(2, 2)), "first and second must have 3 features"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is compared below
        call()
    assert str(caught.value).startswith(message)
