"""What goes over the wire of the job list."""

from __future__ import annotations

from shared.jobs.schemas import JobRead
from shared.web.schemas import Read


class JobList(Read):
    """One page of jobs, newest first."""

    total: int
    page: int
    page_size: int
    total_pages: int
    jobs: list[JobRead]
