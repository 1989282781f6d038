"""Words of the King James Bible trained by prediction in three ways, five starts each, beside gensim's skip-gram.

The learning rate of each way is the one of five that answers most analogies from a seed of its own; the lists of
similarities are looked at only afterwards.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from gensim.models import Word2Vec

from dlref.data import analogies, king_james, word_similarities
from dlref.words import (
    TrainedVectors,
    Vocabulary,
    WordVectors,
    analogy_score,
    cooccurrences,
    pmi,
    ppmi,
    tokenize,
    train_word2vec,
    truncated_svd,
)

SIZE, WINDOW, NEGATIVE, EPOCHS = 64, 5, 5, 5
RATES, SEED_OF_THE_RATE, SEEDS = (0.025, 0.05, 0.1, 0.2, 0.4), 100, (0, 1, 2, 3, 4)
ARMS = {
    "skip-gram": {"architecture": "skip-gram", "output": "negative"},
    "CBOW": {"architecture": "cbow", "output": "negative"},
    "tree": {"architecture": "skip-gram", "output": "hierarchical"},
}
ASKED = slice(100, 1100)  # words whose neighbours are compared
PROCESSES = 2


@cache
def text() -> tuple[Vocabulary, list[np.ndarray]]:
    """The words, and the verses as their numbers."""
    verses = [tokenize(verse) for verse in king_james().values()]
    vocabulary = Vocabulary(verses, min_count=5)
    return vocabulary, [vocabulary.encode(verse) for verse in verses]


def data() -> dict[str, np.ndarray]:
    """What the vectors are trained on."""
    return {"text": np.concatenate(text()[1])}


@cache
def asked_pairs() -> dict[str, list[tuple[str, str, float]]]:
    """The pairs of both lists whose words are known."""
    vocabulary, _ = text()
    found = {}
    for name in ("wordsim353", "simlex999"):
        pairs = [(a.lower(), b.lower(), mark) for a, b, mark in word_similarities(name)]
        found[name] = [pair for pair in pairs if pair[0] in vocabulary and pair[1] in vocabulary]
    return found


def questions() -> list[tuple[str, str, str, str]]:
    """All analogies."""
    return [question for section in analogies().values() for question in section]


def judged(vectors: np.ndarray) -> dict[str, Any]:
    """Cosines of the listed pairs, the share of analogies answered, and each asked word's ten neighbours."""
    vocabulary, _ = text()
    model = WordVectors(vocabulary.words, vectors)
    cosines = model.directions[ASKED] @ model.directions.T
    cosines[np.arange(len(cosines)), np.arange(len(vocabulary))[ASKED]] = -np.inf
    return {
        "analogies": analogy_score(model, questions()).accuracy,
        "neighbours": np.argsort(-cosines, axis=1)[::40, :10].tolist(),
    } | {name: [round(model.similarity(a, b), 4) for a, b, _ in pairs] for name, pairs in asked_pairs().items()}


def train(arm: str, number: int, rate: float) -> dict[str, Any]:
    """One set of vectors and what it is worth."""
    torch.set_num_threads(1)
    vocabulary, verses = text()
    made = train_word2vec(
        verses, len(vocabulary), vector_size=SIZE, window=WINDOW, negative=NEGATIVE, epochs=EPOCHS, lr=rate,
        seed=number, **ARMS[arm],
    )  # fmt: skip
    found = {"arm": arm, "seed": number, "rate": rate, "losses": made.losses} | judged(made.input)
    if arm == "skip-gram":
        found["to PMI"] = to_pmi(made)
    return found


def to_pmi(made: TrainedVectors) -> dict[str, float]:
    """Correlation of the scores u v with the shifted PMI of pairs that were seen ten times or more."""
    vocabulary, verses = text()
    counts = cooccurrences(verses, len(vocabulary), window=WINDOW, weighting="linear")
    often = counts.tocoo()
    rows, columns = (place[often.data >= 10] for place in often.coords)
    scores = (made.input[rows] * made.output[columns]).sum(1)
    expected = pmi(counts, power=0.75, base=np.e)[rows, columns] - np.log(NEGATIVE)
    return {
        "correlation": float(np.corrcoef(scores, expected)[0, 1]),
        "mean score": float(scores.mean()), "mean PMI": float(expected.mean()), "pairs": len(rows),
    }  # fmt: skip


def by_gensim(number: int, rate: float) -> dict[str, Any]:
    """Skip-gram with negative sampling by gensim, on one thread, with the same settings."""
    vocabulary, verses = text()
    words = [vocabulary.decode(verse) for verse in verses]
    made = Word2Vec(
        words, vector_size=SIZE, window=WINDOW, min_count=1, sg=1, negative=NEGATIVE, sample=1e-3, epochs=EPOCHS,
        alpha=rate, workers=1, seed=number + 1,
    )  # fmt: skip
    return {"arm": "gensim", "seed": number, "rate": rate} | judged(made.wv[list(vocabulary.words)])


def by_counting() -> dict[str, Any]:
    """The truncated decomposition of PPMI, with as many numbers a word."""
    vocabulary, verses = text()
    factors = truncated_svd(ppmi(cooccurrences(verses, len(vocabulary), window=WINDOW), power=0.75), SIZE)
    return judged(factors.U * np.sqrt(factors.S))


def first(steps: int) -> list[float]:
    """The losses of the first epochs on part of the text."""
    torch.set_num_threads(1)
    vocabulary, verses = text()
    return train_word2vec(verses[:400], len(vocabulary), vector_size=16, epochs=steps).losses


def run() -> dict[str, Any]:
    """All runs, those that chose the rates included."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        trials = [pool.submit(train, arm, SEED_OF_THE_RATE, rate) for arm in reversed(ARMS) for rate in RATES]
        tried = [trial.result() for trial in trials]
        best = {arm: max((r for r in tried if r["arm"] == arm), key=lambda r: r["analogies"])["rate"] for arm in ARMS}
        runs = [pool.submit(train, arm, number, best[arm]) for arm in reversed(ARMS) for number in SEEDS]
        runs += [pool.submit(by_gensim, number, best["skip-gram"]) for number in SEEDS]
        return {
            "runs": [one.result() for one in runs],
            "rates": [{key: row[key] for key in ("arm", "rate", "analogies")} for row in tried],
            "counting": by_counting(),
            "seeds": list(SEEDS),
        }
