"""What is fast, measured beside what else a user could pick: `python -m bench`, or `make bench`."""

import features.processing  # noqa: F401  # the first to be imported, as in a worker: it has settings that Arrow reads when it is loaded
