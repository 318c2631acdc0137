"""Problems that a client can get when it asks for events."""

from __future__ import annotations

from http import HTTPStatus

from shared.web.problems import RETRY_AFTER_S, Problem


class TooManyStreams(Problem):
    """Too many event streams are open already; try again in a few seconds, or ask for the job itself now and then."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "too-many-streams"
    title = "Too many streams"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_AFTER_S)})
