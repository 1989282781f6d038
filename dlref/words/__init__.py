"""Part X: words, or meaning from counts and from prediction."""

from dlref.words.count_based import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.words.prediction_based import *  # noqa: F403
