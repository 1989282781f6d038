"""Part IV: training."""

from dlref.training.activations import *  # noqa: F403
from dlref.training.batch_normalization import *  # noqa: F403
from dlref.training.initialization import *  # noqa: F403
from dlref.training.vanishing_gradients import *  # noqa: F403
