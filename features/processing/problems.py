"""Problems that the endpoints of the slice report to clients."""

from __future__ import annotations

from http import HTTPStatus

from shared.web.problems import Problem


class SchemaNotKnown(Problem):
    """The schema of this job is not known yet; it is inferred when processing begins."""

    status = HTTPStatus.NOT_FOUND
    slug = "schema-not-known"
    title = "Schema not known yet"
