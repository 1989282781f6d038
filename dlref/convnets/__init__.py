"""Part VI: convolutional networks."""

from dlref.convnets.classic import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.convnets.convolution import *  # noqa: F403
from dlref.convnets.convolution_variants import *  # noqa: F403
from dlref.convnets.inception import *  # noqa: F403
from dlref.convnets.mobile import *  # noqa: F403
from dlref.convnets.pretrained import *  # noqa: F403
from dlref.convnets.resnet import *  # noqa: F403
