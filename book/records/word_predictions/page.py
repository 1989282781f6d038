"""What the page on prediction shows and says of the record."""

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from book.records.word_predictions.run import ARMS, EPOCHS, RATES, SIZE, WINDOW, asked_pairs, questions, text
from dlref.data import glove
from dlref.words import WordVectors, analogy_score

NAMES = {
    "counting": "counting (SVD of PPMI)", "skip-gram": "skip-gram, noise", "CBOW": "CBOW, noise",
    "tree": "skip-gram, tree", "gensim": "gensim's skip-gram", "GloVe": "GloVe (other text)",
}  # fmt: skip


@cache
def by_glove() -> dict[str, Any]:
    """GloVe's published vectors, on the same pairs and questions, among the same words."""
    published, (vocabulary, _) = glove(), text()
    places = {word: place for place, word in enumerate(published.words)}
    known = [word for word in vocabulary if word in places]
    model = WordVectors(known, published.vectors[[places[word] for word in known]])
    return {"analogies": analogy_score(model, questions()).accuracy} | {
        name: [model.similarity(a, b) for a, b, _ in pairs] for name, pairs in asked_pairs().items()
    }


def rows(numbers: Mapping[str, Any], arm: str) -> list[Mapping[str, Any]]:
    """All starts of an arm; counting has one, and so has what others have trained."""
    if arm == "GloVe":
        return [by_glove()]
    return [numbers["counting"]] if arm == "counting" else [row for row in numbers["runs"] if row["arm"] == arm]


def correlations(numbers: Mapping[str, Any], arm: str, name: str = "wordsim353") -> np.ndarray:
    """Spearman's correlation with the marks, start by start."""
    marks = [mark for *_, mark in asked_pairs()[name]]
    return np.array([spearmanr(row[name], marks).statistic for row in rows(numbers, arm)])


def gain(numbers: Mapping[str, Any], arm: str, other: str, name: str = "wordsim353") -> tuple[float, float, float]:
    """How much larger the mean correlation of an arm is, with the interval over pairs and starts drawn anew."""
    marks = np.array([mark for *_, mark in asked_pairs()[name]])
    sides = [np.array([row[name] for row in rows(numbers, a)]) for a in (arm, other)]
    rng = np.random.default_rng(0)

    def mean(cosines: np.ndarray, pairs: np.ndarray) -> float:
        return float(np.mean([spearmanr(row[pairs], marks[pairs]).statistic for row in cosines]))

    every = np.arange(len(marks))
    found = [mean(sides[0], every) - mean(sides[1], every)]
    for _ in range(500):
        pairs = rng.integers(len(marks), size=len(marks))
        drawn = [side[rng.integers(len(side), size=len(side))] for side in sides]
        found.append(mean(drawn[0], pairs) - mean(drawn[1], pairs))
    low, high = np.quantile(found[1:], (0.025, 0.975))
    return found[0], float(low), float(high)


def same_neighbours(numbers: Mapping[str, Any], arm: str) -> float:
    """Share (%) of a word's ten neighbours that two starts have in common."""
    lists = [row["neighbours"] for row in rows(numbers, arm)]
    shares = [
        len(set(a) & set(b)) / 10
        for first, second in itertools.combinations(lists, 2)
        for a, b in zip(first, second, strict=True)
    ]
    return 100 * float(np.mean(shares))


def check(numbers: Mapping[str, Any]) -> None:
    """The sentences of the page."""
    chosen = {row["arm"]: row["rate"] for row in numbers["runs"]}
    assert set(chosen) == {*ARMS, "gensim"}
    assert all(min(RATES) < rate < max(RATES) for rate in chosen.values())  # check: word-rates
    cbow = {row["rate"]: row["analogies"] for row in numbers["rates"] if row["arm"] == "CBOW"}
    assert cbow[max(RATES)] == max(cbow.values())  # check: cbow-tie
    for arm in ("skip-gram", "tree"):
        _, low, high = gain(numbers, arm, "counting")
        assert low < 0 < high  # check: counting-alike
    _, low, high = gain(numbers, "skip-gram", "gensim")
    assert low < 0 < high  # check: gensim-alike
    started = correlations(numbers, "skip-gram")
    assert np.ptp(started) > 0.1  # check: start-matters
    ours = max(np.mean([row["analogies"] for row in rows(numbers, arm)]) for arm in NAMES if arm != "GloVe")
    assert by_glove()["analogies"] > 4 * ours  # check: more-text
    assert same_neighbours(numbers, "tree") > same_neighbours(numbers, "skip-gram") + 10  # check: tree-steadier
    assert all(a > b for row in numbers["runs"] if "losses" in row for a, b in itertools.pairwise(row["losses"]))
    assert min(row["to PMI"]["correlation"] for row in rows(numbers, "skip-gram")) > 0.6  # check: nearer-to-pmi


def words(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers that stand in the page's sentences."""
    to_pmi = [row["to PMI"]["correlation"] for row in rows(numbers, "skip-gram")]
    started = correlations(numbers, "skip-gram")
    found = {
        "size": f"{SIZE}", "window": f"{WINDOW}", "epochs": f"{EPOCHS}", "to-pmi": f"{np.mean(to_pmi):.2f}",
        "least": f"{started.min():.2f}", "most": f"{started.max():.2f}", "pairs": f"{len(asked_pairs()['wordsim353'])}",
    }  # fmt: skip
    for arm in ("counting", "skip-gram", "GloVe"):
        found[f"{arm.lower()}-analogies"] = f"{100 * np.mean([row['analogies'] for row in rows(numbers, arm)]):.0f}"
    for other in ("counting", "gensim"):
        _, low, high = gain(numbers, "skip-gram", other)
        found |= {f"{other}-low": f"{low:.2f}", f"{other}-high": f"{high:.2f}"}
    for arm in ("skip-gram", "tree"):
        found[f"{arm}-same"] = f"{same_neighbours(numbers, arm):.0f}"
    first, last = (np.mean([row["losses"][k] for row in rows(numbers, "CBOW")]) for k in (0, -1))
    return found | {"cbow-first": f"{first:.2f}", "cbow-last": f"{last:.2f}"}


def draw(numbers: Mapping[str, Any]) -> dict[str, Figure]:
    """Correlations with people's marks and analogies answered, every start a dot."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 2.6), sharey=True)
    for line, arm in enumerate(NAMES):
        shares = [100 * row["analogies"] for row in rows(numbers, arm)]
        for ax, values in zip(axes, (correlations(numbers, arm), shares), strict=True):
            ax.plot(values, [line] * len(values), "o", ms=4, color=f"C{line}", alpha=0.6)
            ax.plot(np.mean(values), line, "|", ms=16, mew=2, color=f"C{line}")
    axes[0].set_yticks(range(len(NAMES)), list(NAMES.values()))
    axes[0].set_ylim(len(NAMES) - 0.5, -0.5)
    axes[0].set(xlabel="correlation with WordSim-353", xlim=(0, 0.8))
    axes[1].set(xlabel="analogies answered (%)", xlim=(0, None))
    return {"arms": figure}
