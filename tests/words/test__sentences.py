"""Mirrors dlref/words/_sentences.py."""

import numpy as np
import pytest

from dlref.words._sentences import joined


def test_numbers_and_whose_they_are():
    parts = [np.array([4, 0]), np.array([], dtype=int), np.array([2], dtype=np.uint8), np.array([], dtype=int)]
    made = joined(iter(parts), 5)
    assert made.numbers.tolist() == [4, 0, 2]
    assert made.numbers.dtype == np.int64
    assert made.sentence.tolist() == [0, 0, 2]
    assert made.lines == 4
    assert joined([np.array([], dtype=int)], 1).numbers.tolist() == []
    assert joined([np.array([7])]).numbers.tolist() == [7]
    assert joined([np.array([-1, 0])], 1, places=True).numbers.tolist() == [-1, 0]


def test_bad_input_names_the_offender(unchecked):
    x = np.array([0, 1])
    for wrong in ("ab", x.astype(float), [0, 1]):
        with pytest.raises(TypeError, match=r"a sentence must be a NumPy array of whole numbers, got"):
            joined([x, wrong])
    with pytest.raises(ValueError, match=r"a sentence must have one axis, got int64 array of shape \(1, 2\)"):
        joined([x[None]])
    with pytest.raises(ValueError, match="sentences must not be empty"):
        joined([])
    with pytest.raises(ValueError, match="sentences must hold numbers below 1, got 1"):
        joined([x], 1)
    with pytest.raises(ValueError, match="sentences must hold no negative numbers, got -1"):
        joined([-x])
