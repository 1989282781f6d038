"""Who is who: embeddings of faces learned in eight ways, on people that were not trained on, beside pixels.

Five folds: eight people to test on, six to choose by, the other 26 to train on; each of the forty is tested on once.
In each fold every way has its own rate, the one of three with the best area under the ROC curve on the fold's six
people, who are neither trained nor tested on there.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from dlref.data import jittered_faces
from dlref.detection import (
    BalancedBatches,
    SimilarityHead,
    all_pairs,
    batch_triplet_loss,
    contrastive_loss,
    embedding_distances,
    embedding_network,
    one_shot_accuracy,
    tar_at_far,
)
from dlref.device import seed
from dlref.optimization import AdamW, CosineDecay
from dlref.strategy import roc_auc_score
from dlref.train import Noted, fit, predict

FOLDS, TESTED, DEV, COPIES, TEST_COPIES = (0, 1, 2, 3, 4), 8, 6, 10, 1
FEATURES, DROPOUT, STEPS, PEOPLE, PICTURES, MARGIN, FAR = 32, 0.3, 250, 12, 4, 0.2, 0.01
RATES = (2e-3, 8e-3, 3.2e-2)
TRIPLETS = ("all", "semihard", "hard", "batch_hard")
ARMS = ("classifier", "similarity head", "pairs", *TRIPLETS, "batch_hard, no margin")
PROCESSES = 2


class Judged(nn.Module):
    """Embeddings, and what a head says of all pairs of a batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.head = network, SimilarityHead(FEATURES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, B) of "the same"."""
        made = self.network(images)
        return self.head(made[:, None], made)


def pairs_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which entries of a table of pairs count, each pair once, and which are of one person."""
    same = labels[:, None] == labels
    return torch.ones_like(same).triu(1), same


def balanced(losses: Tensor, same: Tensor) -> Tensor:
    """The mean of the losses, pairs of one person and of two counting equally."""
    return (losses[same].mean() + losses[~same].mean()) / 2


def head_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of all pairs of a batch."""
    once, same = pairs_of(labels)
    losses = F.binary_cross_entropy_with_logits(logits[once], same[once].float(), reduction="none")
    return balanced(losses, same[once])


def pair_loss(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Contrastive loss of all pairs of a batch."""
    once, same = pairs_of(labels)
    distances = embedding_distances(embeddings, embeddings)[once]
    return balanced(contrastive_loss(distances, same[once], reduction="none"), same[once])


@cache
def pictures(kind: str, fold: int) -> tuple[Tensor, Tensor]:
    """Pictures of a fold's people, about mean 0, and who they are."""
    order = [(TESTED * fold + k) % 40 for k in range(40)]
    people = {"test": order[:TESTED], "dev": order[TESTED : TESTED + DEV], "train": order[TESTED + DEV :]}[kind]
    found = jittered_faces(COPIES if kind == "train" else TEST_COPIES, people=people)
    _, number = np.unique(found.person, return_inverse=True)
    return 4 * torch.tensor(found.images) - 2, torch.tensor(number)


def data() -> dict[str, np.ndarray]:
    """All portraits, as often as they are trained on."""
    return jittered_faces(COPIES)._asdict()


def network(arm: str) -> nn.Module:
    """An untrained network of an arm. Heads that are trained choose their own scale, so nothing is divided by it."""
    net = embedding_network(FEATURES, dropout=DROPOUT, unit=arm not in ("classifier", "similarity head"))
    if arm == "classifier":
        return nn.Sequential(net, nn.Linear(FEATURES, 40 - TESTED - DEV))
    return Judged(net) if arm == "similarity head" else net


def loss_of(arm: str) -> Callable[[Tensor, Tensor], Tensor]:
    """What an arm is trained on."""
    losses = {"classifier": F.cross_entropy, "similarity head": head_loss, "pairs": pair_loss}
    if arm in losses:
        return losses[arm]
    margin = 0.0 if arm.endswith("no margin") else MARGIN
    return partial(batch_triplet_loss, mining=arm.split(",")[0], margin=margin)


def trained(arm: str, fold: int, lr: float, steps: int = STEPS) -> tuple[nn.Module, list[float]]:
    """A network, and the losses of its first steps."""
    torch.set_num_threads(1)
    images, labels = pictures("train", fold)
    seed(fold)
    net, noted = network(arm), Noted(loss_of(arm))
    adamw = AdamW(net.parameters(), lr=lr)
    batches = BalancedBatches(labels.numpy(), PEOPLE, PICTURES, batches=steps, seed=fold)
    fit(
        net, noted, DataLoader(TensorDataset(images, labels), batch_sampler=batches), optimizer=adamw, epochs=1,
        scheduler=CosineDecay(adamw, T_max=STEPS, warmup=STEPS // 20), interval="step",
    )  # fmt: skip
    return net.eval(), noted.values[:10]


def distances_of(arm: str, net: nn.Module, images: Tensor) -> np.ndarray:
    """A table of how different pictures are: the less, the more alike."""
    if isinstance(net, Judged):
        with torch.no_grad():
            return -net(images).double().numpy()
    made = predict(net[0] if arm == "classifier" and isinstance(net, nn.Sequential) else net, images).double()
    if arm == "classifier":
        made = F.normalize(made, dim=1)
    return embedding_distances(made, made).numpy()


def judged(distances: dict[str, np.ndarray], fold: int) -> dict[str, Any]:
    """What tables of distances of dev and test people are worth."""
    result: dict[str, Any] = {"fold": fold, "spread": float(distances["test"].mean())}
    scores = {}
    for kind, table in distances.items():
        who = pictures(kind, fold)[1].numpy()
        pairs = all_pairs(who)
        scores[kind] = pairs.same, -table[pairs.first, pairs.second]
        result[f"{kind} area"] = roc_auc_score(*scores[kind])
    result["one-shot"] = one_shot_accuracy(distances["test"], pictures("test", fold)[1].numpy()).tolist()
    result["TAR"] = tar_at_far(scores["test"][0], scores["test"][1], FAR).rate
    moved = tar_at_far(scores["dev"][0], scores["dev"][1], FAR).threshold
    of_two = scores["test"][1][~scores["test"][0]]
    result["FAR of the threshold of others"] = float((of_two >= moved).mean())
    return result


def train(arm: str, fold: int, lr: float) -> dict[str, Any]:
    """One network on people it has not seen."""
    net, first_losses = trained(arm, fold, lr)
    tables = {kind: distances_of(arm, net, pictures(kind, fold)[0]) for kind in ("dev", "test")}
    return {"arm": arm, "rate": lr, "first": first_losses} | judged(tables, fold)


def untrained(arm: str, fold: int) -> dict[str, Any]:
    """Distances of pixels, or of thirty eigenfaces of the training people."""
    known = pictures("train", fold)[0].flatten(1)
    basis = torch.linalg.svd(known - known.mean(0), full_matrices=False).Vh[:30] if arm == "eigenfaces" else None
    tables = {}
    for kind in ("dev", "test"):
        rows = pictures(kind, fold)[0].flatten(1)
        made = rows if basis is None else (rows - known.mean(0)) @ basis.T
        tables[kind] = embedding_distances(made.double(), made.double()).numpy()
    return {"arm": arm} | judged(tables, fold)


def first(steps: int) -> list[float]:
    """The losses of the first steps of one of the runs."""
    return trained("all", 0, 2e-3, steps=steps)[1]


def run() -> dict[str, Any]:
    """All runs; of those with a rate that was not chosen only the area on the six people is kept."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(train, arm, fold, lr) for arm in ARMS for lr in RATES for fold in FOLDS]
        every = [job.result() for job in jobs]
    runs = []
    for arm in ARMS:
        for fold in FOLDS:
            tried_there = [row for row in every if (row["arm"], row["fold"]) == (arm, fold)]
            runs.append(max(tried_there, key=lambda row: row["dev area"]))
    runs += [untrained(arm, fold) for arm in ("pixels", "eigenfaces") for fold in FOLDS]
    tried = [{key: row[key] for key in ("arm", "rate", "fold", "dev area")} for row in every]
    return {"runs": runs, "rates": tried, "seeds": list(FOLDS)}
