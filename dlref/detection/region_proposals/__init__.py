"""A detector in two stages: regions that may hold something, then a look at each."""

from dlref.detection.region_proposals.pooling import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.detection.region_proposals.proposals import *  # noqa: F403
from dlref.detection.region_proposals.two_stages import *  # noqa: F403
