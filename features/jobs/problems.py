"""Problems that a client can get when it changes a job."""

from __future__ import annotations

from http import HTTPStatus

from shared.web.problems import Problem


class JobEnded(Problem):
    """This job has ended, and its webhook with it; the webhook_url can only be changed before that."""

    status = HTTPStatus.CONFLICT
    slug = "job-ended"
    title = "Job has ended"


class AlreadyEnded(Problem):
    """This job has ended already, so there is nothing to cancel."""

    status = HTTPStatus.CONFLICT
    slug = "already-ended"
    title = "Already ended"
