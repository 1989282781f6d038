"""A small problem and a run on it, for the tests of this folder."""

import torch
from torch import nn
from torch.nn import functional as F

from dlref.train import fit

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))


Y = (X[:, 0] * X[:, 1] > 0).long()


def network(dropout=0.0):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2))


def trained(model, epochs=4, **kwargs):
    kwargs = {"optimizer": sgd(model), "batch_size": 16, **kwargs}
    return fit(model, F.cross_entropy, (X, Y), epochs=epochs, **kwargs)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


MODEL = network()
PAIR = torch.arange(6.0)[:, None], torch.arange(6.0)[:, None]
META, CPU = torch.device("meta"), torch.device("cpu")


class Placed(nn.Linear):
    """Notes where it is sent, and stays."""

    def __init__(self):
        super().__init__(1, 1)
        self.sent = []

    def to(self, device):
        self.sent.append(device)
        return self
