"""Problems that a retry can be answered with. Each docstring is the default `detail` that the client reads."""

from __future__ import annotations

from shared.web.problems import BadRequest


class NotRetryable(BadRequest):
    """Only a job that is FAILED or CANCELLED can be tried again."""

    slug = "not-retryable"
    title = "Not retryable"
