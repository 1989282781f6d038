"""Part IV: training."""

from dlref.training.activations import *  # noqa: F403
