"""Logs and Prometheus metrics, for operators. A program that keeps running imports this package before it imports structlog."""

from shared.hidden_modules import hide

# structlog would import rich for tracebacks of a kind that is never logged here: 79 modules, 4 MiB in every process.
with hide("rich"):
    import structlog as _structlog  # noqa: F401
