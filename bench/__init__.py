"""Benchmarks that compare Rowgate with the tools that a user could choose instead: `python -m bench`, or `make bench`."""

import features.processing  # noqa: F401  # imported first, as in a worker: it sets values that Arrow reads when it is loaded
