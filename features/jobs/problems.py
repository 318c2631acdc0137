"""What can go wrong with a change of a job, as its client sees it."""

from __future__ import annotations

from http import HTTPStatus

from shared.web.problems import Problem


class JobEnded(Problem):
    """This job has ended, and its webhook with it; the webhook_url can be changed until then."""

    status = HTTPStatus.CONFLICT
    slug = "job-ended"
    title = "Job has ended"
