"""Part VII: strategy, or what to do next."""

from dlref.strategy.data_mismatch import *  # noqa: F403
from dlref.strategy.error_analysis import *  # noqa: F403
from dlref.strategy.goals_and_metrics import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.strategy.human_level_performance import *  # noqa: F403
from dlref.strategy.learning_from_tasks import *  # noqa: F403
