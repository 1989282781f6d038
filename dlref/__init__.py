"""Clean, tested implementations of deep learning.

One subpackage a part of the book, one module a chapter.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
