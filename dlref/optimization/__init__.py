"""Part II: optimisation. Every optimiser is a ``torch.optim.Optimizer``."""

from dlref.optimization.momentum import *  # noqa: F403  the modules' __all__ is the part's interface
