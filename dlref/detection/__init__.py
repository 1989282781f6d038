"""Part IX: detection, or what is where in a picture."""

from dlref.detection.localization import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.detection.yolo import *  # noqa: F403
