"""A detector that looks once: grid, suppression, anchors, average precision."""

from dlref.detection.yolo.anchors import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.detection.yolo.grid import *  # noqa: F403
from dlref.detection.yolo.precision import *  # noqa: F403
from dlref.detection.yolo.suppression import *  # noqa: F403
