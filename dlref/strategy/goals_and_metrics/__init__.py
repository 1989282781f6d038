"""Metrics for classifiers, and choosing between models by them.

Names, arguments and values of what scikit-learn has are scikit-learn's.
"""

from dlref.strategy.goals_and_metrics.areas import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.strategy.goals_and_metrics.calibration import *  # noqa: F403
from dlref.strategy.goals_and_metrics.choice import *  # noqa: F403
from dlref.strategy.goals_and_metrics.counts import *  # noqa: F403
from dlref.strategy.goals_and_metrics.curves import *  # noqa: F403
from dlref.strategy.goals_and_metrics.retrieval import *  # noqa: F403
