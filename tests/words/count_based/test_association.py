"""Mirrors dlref/words/count_based/association.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.metrics import mutual_info_score

from dlref.words import mutual_information, pmi, ppmi

WORKED = np.array([[4, 0, 4], [0, 4, 4], [4, 4, 8]])
TABLES = hnp.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.integers(0, 20)).filter(
    lambda x: x.any()
)


def by_definition(counts, power=1.0, base=2.0):
    made = np.full(counts.shape, -np.inf)
    N, contexts = counts.sum(), counts.sum(0) ** power
    for w, c in zip(*np.nonzero(counts), strict=True):
        joint = counts[w, c] / N
        chance = counts[w].sum() / N * contexts[c] / contexts.sum()
        made[w, c] = math.log(joint / chance, base)
    return made


@pytest.mark.verifies("eq-pmi", "eq-smoothed-contexts")
@given(TABLES, st.sampled_from([1.0, 0.75, 0.3]), st.sampled_from([2.0, math.e, 10.0]))
def test_pmi_by_definition(counts, power, base):
    expected = by_definition(counts, power, base)
    for form in (counts, counts.astype(float), sparse.csr_array(counts), sparse.coo_array(counts)):
        assert pmi(form, power=power, base=base) == pytest.approx(expected, abs=1e-12)


@pytest.mark.verifies("eq-ppmi")
@given(TABLES, st.sampled_from([1.0, 0.75]), st.floats(-3, 3))
def test_ppmi_by_definition(counts, power, shift):
    made = ppmi(sparse.csr_array(counts), power=power, shift=shift)
    expected = np.maximum(by_definition(counts, power) - shift, 0)
    if shift < 0:
        expected[counts == 0] = 0  # minus infinity is clipped
    assert made.toarray() == pytest.approx(expected, abs=1e-12)
    assert isinstance(made, sparse.csr_array)
    assert (made.data > 0).all()  # nothing but non-zeros is stored
    in_nats = ppmi(counts, power=power, base=math.e, shift=shift * math.log(2))
    assert in_nats.toarray() == pytest.approx(expected * math.log(2), abs=1e-12)


def test_fact_of_the_worked_table():
    assert pmi(WORKED).tolist() == [[1, -math.inf, 0], [-math.inf, 1, 0], [0, 0, 0]]
    assert ppmi(WORKED).toarray().tolist() == np.diag([1.0, 1, 0]).tolist()
    assert mutual_information(WORKED) == 0.25
    assert pmi(WORKED, power=0.75)[0, 0] == pytest.approx(0.8804, abs=5e-5)


def test_fact_of_a_wrong_total():
    """With N = 16, say tokens instead of pairs, every PMI falls by 1."""
    wrong = np.log2(16 * WORKED[0, 0] / (WORKED[0].sum() * WORKED[:, 0].sum()))
    assert wrong == pmi(WORKED)[0, 0] - 1
    assert (pmi(WORKED) - 1).max() == 0


def test_fact_of_rare_and_frequent_pairs():
    """Two words seen once, together, in a million pairs; and two that are always together, a quarter of all."""
    rare = np.diag([1, 999_999])
    assert pmi(rare)[0, 0] == pytest.approx(19.93, abs=5e-3)
    assert pmi(np.diag([1, 3]))[0, 0] == 2


@pytest.mark.verifies("eq-mutual-information")
@given(TABLES)
def test_mutual_information_is_scikit_learns(counts):
    expected = mutual_info_score(None, None, contingency=counts)
    assert mutual_information(counts, base=math.e) == pytest.approx(expected, abs=1e-10)
    assert mutual_information(counts) == pytest.approx(expected / math.log(2), abs=1e-10)


def test_independent_words_have_none():
    counts = np.outer([1, 2, 3], [4, 5])
    assert pmi(counts) == pytest.approx(0, abs=1e-12)
    assert mutual_information(counts) == pytest.approx(0, abs=1e-12)


def test_duplicates_and_stored_zeros():
    twice = sparse.coo_array(([1, 1, 2, 0], ([0, 0, 1, 1], [0, 0, 1, 0])), (2, 2))
    assert pmi(twice).tolist() == [[1, -math.inf], [-math.inf, 1]]
    assert ppmi(twice).nnz == 2
    assert twice.nnz == 4  # the caller's is left as it was


def test_words_without_pairs():
    made = pmi(np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]]))
    assert (made[1] == -math.inf).all()
    assert (made[:, 1] == -math.inf).all()
    assert made[0].tolist() == [0, -math.inf, 0]


def test_counts_near_the_limits():
    huge = np.diag([1e308, 1e308])
    assert mutual_information(huge) == 1
    assert pmi(huge)[0, 0] == 1
    assert pmi(np.diag([1e-300, 1e-300]))[0, 0] == 1
    assert pmi(np.array([[True, False], [False, True]]))[0, 0] == 1


@pytest.mark.parametrize("call", [pmi, ppmi, mutual_information])
def test_bad_input_names_the_offender(call, unchecked):
    for wrong in (-1.0, 0.0):
        with pytest.raises(ValueError, match="counts must not be negative, nor all zero"):
            call(np.full((1, 2), wrong))
    with pytest.raises(ValueError, match="counts must not be negative"):
        call(np.array([[1.0, -1.0]]))
    with pytest.raises(TypeError, match="counts must hold real numbers, got complex128 array"):
        call(np.ones((2, 2)) * 1j)
    for base in (1, 0.5, math.inf):
        with pytest.raises(ValueError, match=r"base must be a number in \(1, inf\)"):
            call(WORKED, base=base)


@pytest.mark.parametrize("call", [pmi, ppmi])
def test_bad_powers_and_shifts(call, unchecked):
    for power in (0, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"power must be a number in \(0, 1\]"):
            call(WORKED, power=power)
    with pytest.raises(ValueError, match=r"shift must be a number in \(-inf, inf\)"):
        ppmi(WORKED, shift=math.inf)
