"""Part III: generalisation."""

from dlref.generalization.data_splits import *  # noqa: F403
