"""Mirrors dlref/data/series.py."""

import numpy as np

from dlref.data import (
    Temperatures,
    temperatures,
)


def test_temperatures_are_daily_and_measured():
    series = temperatures()
    assert isinstance(series, Temperatures)
    assert series.date.dtype == np.dtype("datetime64[D]")
    assert (np.diff(series.date) == np.timedelta64(1, "D")).all()
    assert (str(series.date[0]), str(series.date[-1])) == ("2012-01-01", "2015-12-31")
    assert series.celsius.shape == (1461,)
    assert series.celsius[0] == 12.8
    assert -10 < series.celsius.min() < 0
    assert 30 < series.celsius.max() < 40
