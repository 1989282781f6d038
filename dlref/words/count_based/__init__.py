"""Words from counts: vocabulary, co-occurrence, association, vectors."""

from dlref.words.count_based.association import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.words.count_based.cooccurrence import *  # noqa: F403
from dlref.words.count_based.factors import *  # noqa: F403
from dlref.words.count_based.vectors import *  # noqa: F403
from dlref.words.count_based.vocabulary import *  # noqa: F403
