"""Part IX: detection, or what is where in a picture."""

from dlref.detection.faces import *  # noqa: F403
from dlref.detection.localization import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.detection.region_proposals import *  # noqa: F403
from dlref.detection.segmentation import *  # noqa: F403
from dlref.detection.yolo import *  # noqa: F403
