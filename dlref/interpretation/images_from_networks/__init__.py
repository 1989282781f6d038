"""Images that are optimised until a network says or sees something.

All images are in the units of the network's input.
"""

from dlref.interpretation.images_from_networks.dreams import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.interpretation.images_from_networks.fooling import *  # noqa: F403
from dlref.interpretation.images_from_networks.optimizing import *  # noqa: F403
