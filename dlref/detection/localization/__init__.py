"""What is in a picture, and where: boxes, a loss in three parts, sliding windows."""

from dlref.detection.localization.boxes import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.detection.localization.losses import *  # noqa: F403
from dlref.detection.localization.windows import *  # noqa: F403
