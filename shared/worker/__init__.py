"""What runs tasks: the event loop of a worker process, its orderly stop, its sign of life, and repairs to Celery."""
