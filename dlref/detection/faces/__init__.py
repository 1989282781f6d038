"""The same person or not: distances that are learned, and what they are worth."""

from dlref.detection.faces.embeddings import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.detection.faces.losses import *  # noqa: F403
from dlref.detection.faces.verification import *  # noqa: F403
