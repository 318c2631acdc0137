"""Communication between slices: task declarations, events, messages collected in a transaction, and the broker that sends them."""

import sys
from importlib import import_module

_METRICS = "opentelemetry.sdk.metrics"
if _METRICS not in sys.modules:
    # redis-py loads this wherever it is installed, for metrics that nobody asks it for here: 24 ms and 2.7 MiB in each process.
    sys.modules[_METRICS] = None  # type: ignore[assignment]  # Python's own sign for a module that must not be loaded
    import_module("redis")
    del sys.modules[_METRICS]
