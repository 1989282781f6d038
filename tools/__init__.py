"""Building and checking the book: no part of the package that is installed."""
