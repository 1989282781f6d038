"""Part I: neurons and networks of them, in NumPy, gradients by hand."""

from dlref.neurons.deep_networks import *  # noqa: F403
from dlref.neurons.frameworks import *  # noqa: F403
from dlref.neurons.logistic_regression import *  # noqa: F403  the modules' __all__ is the part's interface
from dlref.neurons.mcculloch_pitts import *  # noqa: F403
from dlref.neurons.outputs_and_losses import *  # noqa: F403
from dlref.neurons.perceptron import *  # noqa: F403
from dlref.neurons.shallow_networks import *  # noqa: F403
from dlref.neurons.sigmoid_neuron import *  # noqa: F403
