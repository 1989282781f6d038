"""Series in time."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlref.data._packages import frozen, package

__all__ = ["Temperatures", "temperatures"]


class Temperatures(NamedTuple):
    """A daily series.

    Attributes:
        date: ``datetime64[D]``.
        celsius: degrees Celsius, float64.

    Source:
        See :func:`temperatures`.

    Example:
        >>> temperatures().celsius.shape
        (1461,)
    """

    date: np.ndarray
    celsius: Float[np.ndarray, " day"]


@cache
def temperatures() -> Temperatures:
    """Daily maximum temperatures of Seattle, 2012 to 2015, measured.

    Ship with vega_datasets.

    :What: one maximum a day from the station's record (not climate normals, which are
        already smooth).
    :Size: 1461 days without a gap.
    :Shapes: ``date (1461,)`` datetime64[D], ``celsius (1461,)`` float64.
    :Licence: public domain (NOAA); vega_datasets is MIT.

    Raises:
        ImportError: if vega_datasets is not installed.

    Source:
        NOAA National Centers for Environmental Information, as packaged by
        vega_datasets ``seattle-weather``.

    Example:
        >>> temperatures().date[0]
        np.datetime64('2012-01-01')
    """
    table = package("vega_datasets").data.seattle_weather()
    return frozen(
        Temperatures(
            table["date"].to_numpy("datetime64[D]"),
            table["temp_max"].to_numpy(np.float64),
        )
    )
