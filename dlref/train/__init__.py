"""Training: the loop, evaluation, callbacks, checkpoints, processes, seeds."""

from dlref.train.callbacks import *  # noqa: F403  the modules' __all__ is the package's interface
from dlref.train.evaluation import *  # noqa: F403
from dlref.train.loop import *  # noqa: F403
from dlref.train.repeat import *  # noqa: F403
from dlref.train.side_by_side import *  # noqa: F403
