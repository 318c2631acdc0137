"""Problems that a client can get when it asks for outputs or rows. Each docstring is the default `detail` that the client reads."""

from __future__ import annotations

from http import HTTPStatus

from shared.output_names import OUTPUT_NAMES
from shared.web.problems import BadRequest, Problem


class NoSuchOutput(BadRequest):
    """There is no output of this name."""

    slug = "no-such-output"
    title = "No such output"

    def __init__(self) -> None:
        super().__init__(f"There is no output of this name. Ask for one of these: {', '.join(OUTPUT_NAMES)}.")


class OutputNotFound(Problem):
    """This output has not been asked for; ask for it with PUT."""

    status = HTTPStatus.NOT_FOUND
    slug = "output-not-found"
    title = "Output not found"


class OutputFailed(Problem):
    """This output could not be made; the sentence says why."""

    status = HTTPStatus.CONFLICT
    slug = "output-failed"
    title = "Output failed"


class OutputGone(Problem):
    """The content of this output is no longer kept; ask for it again with PUT, and it is made anew."""

    status = HTTPStatus.GONE
    slug = "output-gone"
    title = "Output gone"


class RangeNotSatisfiable(Problem):
    """The file does not have the bytes that the Range header asks for; ask for some that it has."""

    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    slug = "requested-range-not-satisfiable"
    title = "Requested range not satisfiable"


class NoOutputs(Problem):
    """Nothing can be made of this job: it has not ended, its rows were never read, or its file is gone."""

    status = HTTPStatus.CONFLICT
    slug = "no-outputs"
    title = "No outputs"


class RowsFailed(Problem):
    """The rows of this job could not be made ready; the sentence says why."""

    status = HTTPStatus.CONFLICT
    slug = "rows-failed"
    title = "Rows failed"
