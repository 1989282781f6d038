"""A class for every pixel: measures, a loss for overlap, U-Net."""

from dlref.detection.segmentation.overlap import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.detection.segmentation.unet import *  # noqa: F403
