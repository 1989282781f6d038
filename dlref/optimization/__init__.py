"""Part II: optimisation. Every optimiser is a ``torch.optim.Optimizer``."""

from dlref.optimization.adaptive_learning_rates import *  # noqa: F403
from dlref.optimization.gradient_descent import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.optimization.hyperparameter_search import *  # noqa: F403
from dlref.optimization.momentum import *  # noqa: F403
from dlref.optimization.schedules import *  # noqa: F403
