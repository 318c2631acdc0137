"""Running tasks: a worker process's event loop, time limits, orderly stop and sign of life, and repairs to Celery."""
