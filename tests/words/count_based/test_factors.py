"""Mirrors dlref/words/count_based/factors.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dlref.words import Factors, truncated_svd

WORKED = np.array([[3.0, 0], [4, 5]])


def matrix(seed, shape=(70, 90), density=0.3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * (rng.random(shape) < density)


@pytest.mark.verifies("eq-svd")
@pytest.mark.parametrize("shape", [(70, 90), (90, 70), (8, 5), (5, 8), (52, 60)])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_values_and_subspaces_are_numpys(shape, k):
    x = matrix(k, shape, 0.3 if min(shape) > 50 else 1)
    U, S, Vh = np.linalg.svd(x, full_matrices=False)
    for form in (x, sparse.csr_array(x), sparse.coo_array(x)):
        made = truncated_svd(form, k)
        assert isinstance(made, Factors)
        assert (made.U.shape, made.S.shape, made.Vh.shape) == ((shape[0], k), (k,), (k, shape[1]))
        assert pytest.approx(S[:k]) == made.S
        assert made.matrix() == pytest.approx((U[:, :k] * S[:k]) @ Vh[:k], abs=1e-9)
        assert pytest.approx(np.eye(k), abs=1e-9) == made.U.T @ made.U
        assert made.Vh @ made.Vh.T == pytest.approx(np.eye(k), abs=1e-9)
        largest = made.U[abs(made.U).argmax(0), np.arange(k)]
        assert (largest > 0).all()


@pytest.mark.verifies("eq-eckart-young")
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_no_random_matrix_of_the_rank_is_nearer(seed, k):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 5))
    best = np.linalg.norm(x - truncated_svd(x, k).matrix())
    assert best**2 == pytest.approx((np.linalg.svd(x)[1][k:] ** 2).sum())
    factor = rng.normal(size=(6, k))  # the best matrix with these columns, and its neighbourhood
    other = factor @ np.linalg.lstsq(factor, x)[0]
    assert np.linalg.norm(x - other) >= best - 1e-9
    made = truncated_svd(x, k)
    moved = (made.U * made.S + 0.1 * rng.normal(size=(6, k))) @ (made.Vh + 0.1 * rng.normal(size=(k, 5)))
    assert np.linalg.norm(x - moved) >= best - 1e-9


def test_fact_of_two_by_two():
    made = truncated_svd(WORKED, 2)
    assert pytest.approx([45, 5]) == made.S**2
    one = truncated_svd(WORKED, 1)
    assert one.matrix() == pytest.approx(np.array([[1.5, 1.5], [4.5, 4.5]]))
    assert np.linalg.norm(WORKED - one.matrix()) == pytest.approx(5**0.5)
    assert (WORKED @ WORKED.T).tolist() == [[9, 12], [12, 41]]
    assert one.matrix() @ one.matrix().T == pytest.approx(np.array([[4.5, 13.5], [13.5, 40.5]]))
    cosine = 12 / (9 * 41) ** 0.5
    assert cosine == pytest.approx(0.6247, abs=5e-5)


@pytest.mark.verifies("eq-gram-of-factors")
def test_fact_of_a_similarity_that_falls():
    """After the truncation the cosine of the first two of four rows is smaller."""
    x = np.array([[3.0, 0, 1], [0, 3, 1], [3, 0, 0], [0, 3, 0]])

    def cosine(rows):
        return rows[0] @ rows[1] / (np.linalg.norm(rows[0]) * np.linalg.norm(rows[1]))

    made = truncated_svd(x, 2)
    assert cosine(x) == pytest.approx(0.1)
    assert cosine(made.matrix()) == pytest.approx(0.0807, abs=5e-5)
    rows = made.U * made.S
    assert rows @ rows.T == pytest.approx(made.matrix() @ made.matrix().T)
    lost = x @ x.T - rows @ rows.T
    assert np.linalg.eigvalsh(lost).min() > -1e-12  # positive semidefinite: lengths shrink


def test_seed_changes_no_subspace():
    x = sparse.csr_array(matrix(0))
    first, again, other = (truncated_svd(x, 4, seed=seed) for seed in (0, 0, 1))
    assert (first.U == again.U).all()
    assert other.matrix() == pytest.approx(first.matrix(), abs=1e-8)
    assert not (first.U == other.U).all()


@pytest.mark.parametrize("size", [6, 80])
def test_k_above_the_rank(size):
    x = np.zeros((size, size))
    x[:2, :3] = [[1, 2, 3], [3, 2, 1]]
    assert len(truncated_svd(x, 2).S) == 2
    with pytest.raises(ValueError, match="k must be at most the rank of the matrix, 2, got 3"):
        truncated_svd(x, 3)
    with pytest.raises(ValueError, match="k must be at most the rank of the matrix, 0, got 1"):
        truncated_svd(np.zeros((size, size)), 1)


def test_whole_rank():
    x = matrix(3, (60, 55), 1)
    made = truncated_svd(sparse.csr_array(x), 55)
    assert made.matrix() == pytest.approx(x, abs=1e-9)


def test_bad_input_names_the_offender(unchecked):
    with pytest.raises(TypeError, match="matrix must hold real numbers, got complex128 array"):
        truncated_svd(np.ones((2, 2)) * 1j, 1)
    for k in (0, 3):
        with pytest.raises(ValueError, match=r"k must be an integer in \[1, 2\]"):
            truncated_svd(np.ones((2, 3)), k)
    with pytest.raises(ValueError, match="seed must be an integer >= 0, got -1"):
        truncated_svd(WORKED, 1, seed=-1)
    assert pytest.approx([45]) == truncated_svd(np.array([[3, 0], [4, 5]]), 1).S ** 2


@pytest.mark.verifies("eq-best-direction")
@given(st.integers(0, 2**31))
def test_no_direction_keeps_more_than_the_first(seed):
    rng = np.random.default_rng(seed)
    x, b = rng.normal(size=(6, 5)), rng.normal(size=5)
    b /= np.linalg.norm(b)
    made = truncated_svd(x, 5)
    kept = np.linalg.norm(x @ b) ** 2
    assert kept == pytest.approx(((made.S * (made.Vh @ b)) ** 2).sum())
    assert kept <= made.S[0] ** 2 + 1e-9
    assert np.linalg.norm(x @ made.Vh[0]) == pytest.approx(made.S[0])


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
@pytest.mark.parametrize("size", [20, 200])
def test_scale_does_not_matter(size, scale):
    x = np.diag(np.arange(1.0, size + 1)) * scale
    assert pytest.approx(np.array([size, size - 1]) * scale) == truncated_svd(x, 2).S
