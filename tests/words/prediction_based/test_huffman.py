"""Mirrors dlref/words/prediction_based/huffman.py."""

import numpy as np
import pytest
import torch
from gensim.models import Word2Vec
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from dlref.words import HierarchicalSoftmax, HuffmanTree, huffman_tree

FACT = np.array([8, 4, 2, 1, 1])
COUNTS = st.lists(st.integers(0, 30), min_size=2, max_size=9).map(np.array)


def output(counts, E=3, seed=0):
    layer = HierarchicalSoftmax(counts, E, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return layer


def test_fact_of_the_depths():
    tree = huffman_tree(FACT)
    assert isinstance(tree, HuffmanTree)
    assert tree.depths.tolist() == [1, 2, 3, 4, 4]
    share = FACT / FACT.sum()
    assert share @ tree.depths == 1.875 == -(share @ np.log2(share))


@given(COUNTS)
def test_a_tree_with_a_leaf_a_word(counts):
    tree = huffman_tree(counts)
    assert tree.nodes.shape == tree.turns.shape == tree.inside.shape
    assert (tree.inside == (np.arange(tree.inside.shape[1]) < tree.depths[:, None])).all()
    paths = {tuple(turns[:depth]) for turns, depth in zip(tree.turns.tolist(), tree.depths, strict=True)}
    assert len(paths) == len(counts)
    assert sum(2.0 ** -len(path) for path in paths) == 1  # no leaf is missing, none is on the way to another
    assert set(tree.nodes[tree.inside]) == set(range(len(counts) - 1))
    assert (tree.nodes[:, 0] == 0).all()  # the root
    assert (tree.nodes[~tree.inside] == 0).all()
    assert (tree.turns[~tree.inside] == 0).all()
    at = {}  # what leads to a node is the same for all words that pass it
    for word in range(len(counts)):
        for j in range(tree.depths[word]):
            before = tuple(tree.turns[word, :j])
            assert at.setdefault(tree.nodes[word, j], before) == before


@given(COUNTS.filter(lambda x: x.min() > 0))
def test_the_mean_path_is_shortest(counts):
    depths = huffman_tree(counts).depths
    share = counts / counts.sum()
    entropy = -(share @ np.log2(share))
    assert entropy - 1e-9 <= share @ depths < entropy + 1
    sentences = [[f"w{i}" for i, count in enumerate(counts) for _ in range(count)]]
    theirs = Word2Vec(sentences, min_count=1, hs=1, negative=0, vector_size=2, epochs=1)
    expected = [len(theirs.wv.get_vecattr(f"w{i}", "code")) for i in range(len(counts))]
    assert counts @ depths == counts @ np.array(expected)


def test_frequent_words_turn_left():
    tree = huffman_tree(np.array([1, 9, 3]))
    assert tree.turns.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert huffman_tree(np.array([1, 1])).turns.tolist() == [[0], [1]]  # of equal ones the first


@pytest.mark.verifies("eq-hierarchical")
@given(COUNTS, st.integers(0, 2**31))
def test_probabilities_by_definition(counts, seed):
    layer, V = output(counts, seed=seed), len(counts)
    h = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    every = layer.log_prob(h)
    torch.testing.assert_close(every.exp().sum(1), torch.ones(4, dtype=torch.float64))
    tree = huffman_tree(counts)
    for word in range(V):
        p = torch.ones(4, dtype=torch.float64)
        for node, turn in zip(tree.nodes[word][tree.inside[word]], tree.turns[word][tree.inside[word]], strict=True):
            left = torch.sigmoid(h @ layer.weight[node])
            p = p * (left if turn == 0 else 1 - left)
        torch.testing.assert_close(every[:, word], p.log())
        torch.testing.assert_close(layer(h, torch.full((4,), word)), p.log())


def test_fact_of_three_leaves():
    layer = HierarchicalSoftmax(np.array([3, 2, 1]), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5], [-1.0]]))
    made = layer.log_prob(torch.ones(1, 1)).exp()[0]
    # the root's left is the first word; at the second node the left is the second word
    assert made.tolist() == pytest.approx([0.6225, 0.1015, 0.2760], abs=5e-5)
    assert made.sum().item() == pytest.approx(1)
    wrong = [torch.sigmoid(torch.tensor(-x)).item() for x in (0.5, -1.0)]  # -1.0 ** code is -1 for both codes
    assert wrong[0] == pytest.approx(0.3775, abs=5e-5)
    assert wrong[0] * wrong[1] == pytest.approx(0.2760, abs=5e-5)
    assert wrong[0] + 2 * wrong[0] * wrong[1] == pytest.approx(0.9295, abs=5e-5)


def test_gradients_and_extremes():
    layer = output(FACT)
    h = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 3, 4])
    assert gradcheck(lambda x, w: torch.func.functional_call(layer, {"weight": w}, (x, target)), (h, layer.weight))
    with torch.no_grad():
        layer.weight.fill_(1e4)
    made = layer.log_prob(torch.ones(1, 3, dtype=torch.float64))
    assert made.isfinite().all()
    assert made.max().item() == 0
    h = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    layer(h, torch.tensor([4])).sum().backward()
    assert h.grad.isfinite().all()


def test_it_starts_at_its_depth():
    layer = HierarchicalSoftmax(FACT, 2)
    assert layer.log_prob(torch.ones(1, 2)).exp()[0].tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16])
    assert layer.weight.shape == (4, 2)
    assert (layer.num_embeddings, layer.embedding_dim) == (5, 2)
    assert (layer.counts == FACT).all()
    assert layer.counts is not FACT
    assert repr(layer) == "HierarchicalSoftmax(5, 2, depth=4)"
    twin = HierarchicalSoftmax(FACT, 2, dtype=torch.float64, device="cpu")
    twin.load_state_dict(layer.state_dict())
    assert twin.weight.dtype == torch.float64
    assert HierarchicalSoftmax(FACT, 2, device="meta").nodes.is_meta
    assert layer(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_bad_input_names_the_offender(unchecked):
    with pytest.raises(TypeError, match="counts must be a NumPy array of whole numbers, got"):
        huffman_tree(np.ones(3))
    for wrong in (FACT[:1], FACT[None], -FACT):
        with pytest.raises(ValueError, match="counts must be two or more, none of them negative, got int64 array"):
            huffman_tree(wrong)
    with pytest.raises(ValueError, match="embedding_dim must be an integer >= 1, got 0"):
        HierarchicalSoftmax(FACT, 0)
    layer = HierarchicalSoftmax(FACT, 2)
    for wrong in (-1, 5):
        with pytest.raises(IndexError):
            layer(torch.zeros(1, 2), torch.tensor([wrong]))
    for call in (layer.log_prob, lambda h: layer(h, torch.tensor([0]))):
        with pytest.raises(ValueError, match=r"hidden must have shape \(B, E=2\)"):
            call(torch.zeros(1, 3))
