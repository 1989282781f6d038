"""The house style of figures, and the pictures that several chapters draw.

Colours come in pairs, for light and for dark pages; what draws should name them
``"C0"`` ... ``"C5"`` and leave text and axes to the style, so that a figure can be had
in both. The palette keeps its order of lightness for readers who do not see all hues
(after Okabe & Ito, 2008).
"""

from dlref.plot.animation import *  # noqa: F403  the modules' __all__ is the package's interface
from dlref.plot.drawing import *  # noqa: F403
from dlref.plot.figures import *  # noqa: F403
from dlref.plot.sliders import *  # noqa: F403
from dlref.plot.style import *  # noqa: F403
