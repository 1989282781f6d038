"""What excites a unit, and what in a picture an answer depends on.

Conventions are captum's: a target is a class, or the place of a unit in the output.
"""

from dlref.interpretation.features.attribution import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.interpretation.features.layers import *  # noqa: F403
from dlref.interpretation.features.occlusion import *  # noqa: F403
from dlref.interpretation.features.patches import *  # noqa: F403
from dlref.interpretation.features.rectifiers import *  # noqa: F403
