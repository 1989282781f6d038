"""Each test draws in the house style and leaves no figure open."""

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from dlref import plot


@pytest.fixture(autouse=True)
def _clean():
    with mpl.rc_context():
        plot.style()
        yield
    plt.close("all")
