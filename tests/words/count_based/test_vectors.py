"""Mirrors dlref/words/count_based/vectors.py."""

import pickle

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics.pairwise import cosine_similarity

from dlref.words import (
    AnalogyScore,
    SimilarityScore,
    WordVectors,
    analogy_score,
    similarity_gain,
    similarity_scores,
)

WORDS = tuple("abcdefghij")
SQUARE = np.array([[1.0, 0], [1, 1], [-1, 0], [-1, 1]])


def vectors(seed, size=10, dimensions=4):
    return np.random.default_rng(seed).normal(size=(size, dimensions))


def in_gensim(x):
    twin = KeyedVectors(x.shape[1])
    twin.add_vectors(list(WORDS), x.astype(np.float32))
    return twin


@pytest.mark.verifies("eq-cosine-of-rows")
@given(st.integers(0, 2**31))
def test_cosines_are_scikit_learns(seed):
    x = vectors(seed)
    ours, expected = WordVectors(WORDS, x), cosine_similarity(x)
    for i, first in enumerate(WORDS):
        assert (ours[first] == x[i]).all()
        for j, second in enumerate(WORDS):
            assert ours.similarity(first, second) == pytest.approx(expected[i, j], abs=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 9))
def test_neighbours_and_analogies_are_gensims(seed, n):
    x = vectors(seed)
    ours, theirs = WordVectors(WORDS, x), in_gensim(x)
    for found, expected in [
        (ours.neighbours("c", n), theirs.most_similar("c", topn=n)),
        (ours.analogy("a", "b", "c", min(n, 7)), theirs.most_similar(positive=["b", "c"], negative=["a"], topn=n)[:7]),
    ]:
        # gensim's are in single precision, and its analogy has the mean of the three directions, not their sum
        assert [word for word, _ in found] == [word for word, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)


@given(st.integers(0, 2**31))
def test_products_by_definition(seed):
    ours = WordVectors(WORDS, vectors(seed))

    def likeness(first, second):
        return (1 + ours.similarity(first, second)) / 2

    found = dict(ours.analogy("a", "b", "c", 7, method="multiply"))
    for d in WORDS[3:]:
        expected = likeness(d, "b") * likeness(d, "c") / (likeness(d, "a") + 0.001)
        assert found[d] == pytest.approx(expected)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_what_is_left_out():
    ours = WordVectors("abcd", SQUARE)
    assert [word for word, _ in ours.analogy("a", "b", "c")] == ["d"]
    with_all = ours.analogy("a", "b", "c", 4, exclude=False)
    assert {word for word, _ in with_all} == set("abcd")
    assert {word for word, _ in ours.analogy("a", "a", "b", 2)} == {"c", "d"}
    assert "a" not in [word for word, _ in ours.neighbours("a", 3)]
    assert len(ours.neighbours("a", 7)) == 3  # all others
    assert len(ours.analogy("a", "b", "c", 7)) == 1
    assert len(ours.analogy("a", "b", "c", 7, exclude=False)) == 4
    for call in (lambda: ours.neighbours("a", 0), lambda: ours.analogy("a", "b", "c", 0)):
        with pytest.raises(ValueError, match="n must be an integer >= 1, got 0"):
            call()


def test_default_numbers():
    many = WordVectors([f"w{i}" for i in range(30)], vectors(0, 30))
    assert len(many.neighbours("w0")) == 10
    assert len(many.analogy("w0", "w1", "w2")) == 1
    assert many.analogy("w0", "w1", "w2") == many.analogy("w0", "w1", "w2", exclude=True, method="add")


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_lengths_do_not_matter(scale):
    x = vectors(1)
    assert WordVectors(WORDS, x * scale).similarity("a", "b") == pytest.approx(
        WordVectors(WORDS, x).similarity("a", "b")
    )
    for given_as, kept_as in ((np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)):
        made = WordVectors(WORDS, x.astype(given_as))
        assert made.directions.dtype == kept_as
        assert made.vectors.dtype == given_as
        assert np.linalg.norm(made.directions, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_vector_of_zeros_is_like_no_other():
    ours = WordVectors("abc", np.array([[0.0, 0], [1, 0], [0, -1]]))
    assert ours.similarity("a", "b") == ours.similarity("a", "a") == 0
    assert ours.neighbours("a", 2) == [("b", 0.0), ("c", 0.0)]
    assert ours.analogy("b", "b", "a", 1, exclude=False) == [("a", 0.0)]


def test_what_it_knows_and_how_it_is_shown(unchecked):
    ours = WordVectors("abcd", SQUARE)
    assert len(ours) == 4
    assert "a" in ours
    assert "x" not in ours
    assert repr(ours) == "WordVectors(4 words, 2 numbers each)"
    assert ours.words == tuple("abcd")
    twin = pickle.loads(pickle.dumps(ours))
    assert twin.neighbours("a", 3) == ours.neighbours("a", 3)
    for call in (lambda: ours["x"], lambda: ours.number("x"), lambda: ours.similarity("a", "x")):
        with pytest.raises(KeyError, match="word must be one of 4 with a vector, got 'x'"):
            call()
    with pytest.raises(ValueError, match=r"vectors must have shape \(V=3, D\)"):
        WordVectors("abc", SQUARE)
    with pytest.raises(ValueError, match="words must be different, got 4 of which 3 are"):
        WordVectors("abca", SQUARE)
    with pytest.raises(ValueError, match="vectors must be finite"):
        WordVectors("abcd", SQUARE * np.nan)
    for call in (ours.analogy, lambda *_, method: analogy_score(ours, [], method=method)):
        with pytest.raises(ValueError, match="method must be one of 'add', 'multiply', got 'mean'"):
            call("a", "b", "c", method="mean")


@given(st.integers(0, 2**31))
def test_scores_are_scipys(seed):
    rng = np.random.default_rng(seed)
    models = {name: WordVectors(WORDS, vectors(seed + k)) for k, name in enumerate("xy")}
    pairs = [(WORDS[i], WORDS[j], float(rng.integers(4))) for i in range(10) for j in range(i)]
    pairs[0] = (*pairs[0][:2], 9.0)
    made = similarity_scores(models, [*pairs, ("a", "zebra", 3.0)], resamples=50)
    for name, score in made.items():
        cosines = [models[name].similarity(a, b) for a, b, _ in pairs]
        expected = stats.spearmanr(cosines, [mark for *_, mark in pairs]).statistic
        assert score.correlation == pytest.approx(expected)
        assert score.pairs == len(pairs)
        assert score.low < score.high


def test_the_interval_is_scipys_bootstrap():
    rng = np.random.default_rng(0)
    ours = WordVectors([f"w{i}" for i in range(120)], vectors(3, 120))
    pairs = [(f"w{i}", f"w{i + 60}", ours.similarity(f"w{i}", f"w{i + 60}") + 0.5 * rng.normal()) for i in range(60)]
    made = similarity_scores({"ours": ours}, iter(pairs))["ours"]
    cosines = np.array([ours.similarity(a, b) for a, b, _ in pairs])
    marks = np.array([mark for *_, mark in pairs])
    theirs = stats.bootstrap(
        (cosines, marks),
        lambda x, y: stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=1,
    ).confidence_interval
    assert made.low == pytest.approx(theirs.low, abs=0.02)
    assert made.high == pytest.approx(theirs.high, abs=0.02)
    wider = similarity_scores({"ours": ours}, pairs, confidence=0.99)["ours"]
    assert wider.low < made.low < made.correlation < made.high < wider.high
    assert similarity_scores({"ours": ours}, pairs, seed=0)["ours"] == made
    assert similarity_scores({"ours": ours}, pairs, seed=1)["ours"] != made
    assert similarity_scores({"ours": ours}, pairs, resamples=2000)["ours"] == made


def test_pairs_that_one_model_lacks_are_left_out_for_all():
    wide, narrow = WordVectors(WORDS, vectors(0)), WordVectors(WORDS[:5], vectors(0)[:5])
    pairs = [(WORDS[i], WORDS[i + 1], float(i)) for i in range(9)]
    both = similarity_scores({"wide": wide, "narrow": narrow}, pairs)
    assert both["wide"] == both["narrow"]
    assert both["wide"].pairs == 4
    assert SimilarityScore(0.5, 0.3, 0.7, 4).pairs == 4


def test_too_few_pairs(unchecked):
    ours, pairs = WordVectors(WORDS, vectors(0)), [("a", "b", 1.0), ("a", "c", 2.0), ("d", "e", 3.0)]
    assert similarity_scores({"ours": ours}, pairs)["ours"].pairs == 3
    with pytest.raises(ValueError, match="pairs must hold three that all know, got 2"):
        similarity_scores({"ours": ours}, [*pairs[:2], ("a", "zebra", 1.0)])
    with pytest.raises(ValueError, match="models must not be empty"):
        similarity_scores({}, pairs)
    flat = [(a, b, 1.0) for a, b, _ in pairs]
    with pytest.raises(ValueError, match="cosines and judgements must not all be equal, as they are for 'ours'"):
        similarity_scores({"ours": ours}, flat)
    with pytest.raises(ValueError, match="pairs must have finite marks"):
        similarity_scores({"ours": ours}, [*pairs, ("a", "f", float("nan"))])
    same = WordVectors(WORDS, np.ones((10, 2)))
    with pytest.raises(ValueError, match="must not all be equal, as they are for 'same'"):
        similarity_scores({"same": same}, pairs)
    for name, wrong in (("confidence", 1.0), ("resamples", 0), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{name} must be"):
            similarity_scores({"ours": ours}, pairs, **{name: wrong})


@pytest.mark.parametrize("method", ["add", "multiply"])
@pytest.mark.parametrize("exclude", [True, False])
def test_the_share_of_questions_answered(method, exclude):
    ours = WordVectors(WORDS, vectors(5))
    rng = np.random.default_rng(0)
    questions = [tuple(rng.choice(list(WORDS), 4)) for _ in range(1203)]  # more than are asked at once
    made = analogy_score(ours, iter([*questions, ("a", "b", "c", "zebra")]), method=method, exclude=exclude)
    right = [ours.analogy(a, b, c, exclude=exclude, method=method)[0][0] == d for a, b, c, d in questions]
    assert made == AnalogyScore(np.mean(right), 1203, 1204)
    assert made.accuracy > 0


def test_defaults_of_the_questions():
    ours = WordVectors("abcd", SQUARE)
    asked = [("a", "b", "c", "d"), ("b", "a", "d", "c"), ("a", "b", "c", "b")]
    made = analogy_score(ours, asked)
    assert made == analogy_score(ours, asked, exclude=True, method="add")
    assert made.accuracy == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="questions must hold one with known words, got 1"):
        analogy_score(ours, [("a", "b", "c", "x")])


def test_the_gain_is_paired():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(80)]
    x = rng.normal(size=(80, 4))
    good, noisy = WordVectors(words, x), WordVectors(words, x + 0.1 * rng.normal(size=x.shape))
    pairs = [(f"w{i}", f"w{i + 40}", good.similarity(f"w{i}", f"w{i + 40}") + rng.normal()) for i in range(40)]
    both = similarity_scores({"good": good, "noisy": noisy}, pairs)
    made = similarity_gain(good, noisy, iter([*pairs, ("w0", "zebra", 1.0)]))
    assert made.correlation == pytest.approx(both["good"].correlation - both["noisy"].correlation)
    assert made.pairs == 40
    width = made.high - made.low
    assert width < 0.5 * (both["good"].high - both["good"].low)  # narrower: both miss the same pairs
    cosines = [np.array([m.similarity(a, b) for a, b, _ in pairs]) for m in (good, noisy)]
    marks = np.array([mark for *_, mark in pairs])

    def gain(rows):
        return np.subtract(*(stats.spearmanr(c[rows], marks[rows]).statistic for c in cosines))

    theirs = stats.bootstrap(
        (np.arange(40),), gain, vectorized=False, method="percentile", n_resamples=2000, rng=1
    ).confidence_interval
    assert made.low == pytest.approx(theirs.low, abs=0.01)
    assert made.high == pytest.approx(theirs.high, abs=0.01)
    turned = similarity_gain(noisy, good, pairs, confidence=0.95, resamples=2000, seed=0)
    assert (turned.low, turned.high) == pytest.approx((-made.high, -made.low))
    assert similarity_gain(noisy, good, pairs, confidence=0.5).low > turned.low
    assert similarity_gain(noisy, good, pairs, seed=1) != turned
    assert similarity_gain(noisy, good, pairs, resamples=10) != turned


def test_a_perfect_order_is_one():
    ours = WordVectors(WORDS, vectors(0))
    pairs = [("a", word, ours.similarity("a", word)) for word in WORDS[1:]]
    made = similarity_scores({"ours": ours}, pairs)["ours"]
    assert made.low <= made.correlation <= made.high <= 1
    assert made.low == pytest.approx(1)
