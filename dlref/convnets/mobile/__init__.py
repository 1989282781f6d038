"""Networks for small machines: MobileNet v1 and v2, EfficientNet B0 to B7 and Lite0."""

from dlref.convnets.mobile.efficientnet import *  # noqa: F403  their __all__ is the chapter's interface
from dlref.convnets.mobile.mobilenet import *  # noqa: F403
