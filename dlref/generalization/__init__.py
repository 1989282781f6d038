"""Part III: generalisation."""

from dlref.generalization.augmentation_and_stopping import *  # noqa: F403
from dlref.generalization.bias_variance import *  # noqa: F403
from dlref.generalization.data_splits import *  # noqa: F403
from dlref.generalization.dropout import *  # noqa: F403
from dlref.generalization.ensembles import *  # noqa: F403
from dlref.generalization.weight_penalties import *  # noqa: F403
