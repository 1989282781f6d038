"""Words from prediction: CBOW, skip-gram, and ways round the sum over all words."""

from dlref.words.prediction_based.huffman import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.words.prediction_based.losses import *  # noqa: F403
from dlref.words.prediction_based.models import *  # noqa: F403
from dlref.words.prediction_based.sampling import *  # noqa: F403
from dlref.words.prediction_based.training import *  # noqa: F403
