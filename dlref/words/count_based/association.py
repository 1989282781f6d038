"""Pointwise mutual information: which words meet more often than chance has it.

Shape legend: V words, C context words.
"""

import numpy as np
from jaxtyping import Float
from scipy import sparse

from dlref import _check
from dlref.words import _tables

__all__ = ["mutual_information", "pmi", "ppmi"]


def pmi(
    counts: np.ndarray | sparse.sparray, *, power: float = 1.0, base: float = 2.0
) -> Float[np.ndarray, "V C"]:
    r"""Pointwise mutual information of words and context words.

    .. math::
        \mathrm{PMI}(w, c) = \log \frac{P(w, c)}{P(w)\,P(c)}
        = \log \frac{X_{wc}\,N}{X_{w\cdot}\,X_{\cdot c}}

    N is the sum of the table, not the number of tokens. With a power below 1 the
    contexts' probabilities are those of :math:`X_{\cdot c}^{\text{power}}`, divided by
    the sum of these.

    Args:
        counts: (V, C), not negative; NumPy or SciPy's sparse arrays.
        power: in (0, 1]; 0.75 makes rare contexts less rare, which lowers their PMI.
        base: of the logarithm: 2 gives bits, e gives nats.

    Returns:
        (V, C), minus infinity for pairs that never occurred.

    Raises:
        TypeError: if the counts are no array of numbers, or a setting is no number.
        ValueError: if a count is negative or not finite, all are 0, or a setting is out
            of range.

    Source:
        Church & Hanks (1990), Computational Linguistics 16(1); the power: Levy,
        Goldberg & Dagan (2015), TACL 3, equation 3.

    Example:
        >>> pmi(np.array([[4, 0, 4], [0, 4, 4], [4, 4, 8]]))
        array([[  1., -inf,   0.],
               [-inf,   1.,   0.],
               [  0.,   0.,   0.]])
    """
    table = _counts(counts)
    found = np.full(table.shape, -np.inf)
    found[table.rows, table.columns] = _information(table, power, base)
    return found


def ppmi(
    counts: np.ndarray | sparse.sparray,
    *,
    power: float = 1.0,
    base: float = 2.0,
    shift: float = 0.0,
) -> sparse.csr_array:
    r"""The positive part of :func:`pmi`, as a sparse matrix.

    .. math::
        \mathrm{PPMI}(w, c) = \max\bigl(0,\, \mathrm{PMI}(w, c) - \text{shift}\bigr)

    Args:
        counts: see :func:`pmi`.
        power: see :func:`pmi`.
        base: see :func:`pmi`.
        shift: what is subtracted first, in the logarithm's unit; log k is the shift of
            negative sampling with k negatives.

    Returns:
        (V, C), with the non-zeros alone.

    Raises:
        TypeError, ValueError: see :func:`pmi`; if the shift is not finite.

    Source:
        Bullinaria & Levy (2007), Behavior Research Methods 39; the shift: Levy &
        Goldberg (2014), NeurIPS, equation 12.

    Example:
        >>> ppmi(np.array([[4, 0, 4], [0, 4, 4], [4, 4, 8]])).toarray()
        array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 0.]])
    """
    shift = _check.real("shift", shift)
    table = _counts(counts)
    values = np.maximum(_information(table, power, base) - shift, 0.0)
    found = sparse.csr_array((values, (table.rows, table.columns)), table.shape)
    found.eliminate_zeros()
    return found


def mutual_information(
    counts: np.ndarray | sparse.sparray, *, base: float = 2.0
) -> float:
    r"""The mean of :func:`pmi` over all pairs that occurred, each as often as it did.

    .. math:: I = \sum_{w,c} P(w, c)\, \mathrm{PMI}(w, c)

    Args:
        counts: see :func:`pmi`.
        base: see :func:`pmi`.

    Returns:
        A number that is not below 0 but for rounding; 0 if the two are independent.

    Raises:
        TypeError, ValueError: see :func:`pmi`.

    Source:
        Shannon (1948), Bell System Technical Journal 27, as the rate of transmission.

    Example:
        >>> mutual_information(np.array([[4, 0, 4], [0, 4, 4], [4, 4, 8]]))
        0.25
    """
    table = _counts(counts)
    share = table.values / table.values.max()
    share /= share.sum()
    return float(share @ _information(table, 1.0, base))


def _information(table: _tables.Table, power: float, base: float) -> np.ndarray:
    """PMI of the pairs that occurred, in the table's order."""
    power = _check.real("power", power, "(0, 1]")
    base = _check.real("base", base, "(1, inf)")
    values = table.values / table.values.max()  # no sum overflows
    word = np.bincount(table.rows, values)
    context = np.bincount(table.columns, values) ** power
    given = np.log(values / word[table.rows])
    chance = np.log(context[table.columns] / context.sum())
    return (given - chance) / np.log(base)


def _counts(counts: np.ndarray | sparse.sparray) -> _tables.Table:
    found = _tables.table("counts", counts)
    if len(found.values) == 0 or found.values.min() < 0:
        raise ValueError("counts must not be negative, nor all zero")
    return found
