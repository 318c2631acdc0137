"""Problems that a client can get when it asks for events."""

from __future__ import annotations

from shared.web.problems import Unavailable


class TooManyStreams(Unavailable):
    """Too many event streams are open already; try again in a few seconds, or ask for the job itself now and then."""

    slug = "too-many-streams"
    title = "Too many streams"
