"""Part VIII: interpretation, or what a network has learned."""

from dlref.interpretation.features import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.interpretation.images_from_networks import *  # noqa: F403
from dlref.interpretation.style_transfer import *  # noqa: F403
