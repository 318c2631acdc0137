"""GET /api/jobs/{job_id}/outputs; PUT, GET and HEAD …/outputs/{name}; GET …/rows."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import FileResponse, JSONResponse

from features.outputs import queries
from features.outputs.ask import ask_for, find_reason_against, list_available
from features.outputs.problems import NoOutputs, NoSuchOutput, OutputFailed, OutputGone, OutputNotFound, RangeNotSatisfiable, RowsFailed
from features.outputs.rows import read_rows
from features.outputs.schemas import BEING_MADE, OutputList, OutputRead, RowList, RowsPending, describe_wanted, read_output
from features.outputs.send import send_output
from features.outputs.types import RowsWanted
from shared.db.models import ENDED, Output, OutputStatus
from shared.db.session import Database
from shared.jobs.examples import show
from shared.jobs.queries import require_job
from shared.output_names import MEDIA_TYPES, OUTPUT_NAMES, parse_output_name
from shared.rows_index import MAX_ROW_NUMBER
from shared.storage.base import Storage
from shared.web.auth import Viewer, ViewerDep
from shared.web.database import DatabaseDep, SessionDep
from shared.web.openapi import declare_tag
from shared.web.problems import BadRequest, InvalidPart, JobNotFound, NotAuthenticated, StorageUnavailable, responses
from shared.web.storage import RequireStorage, StorageDep

TAG = declare_tag("outputs", place=50, description="What can be taken away: the good rows, the bad ones, the whole file with its errors; and rows to look at.")
router = APIRouter(prefix="/api/jobs/{job_id}", tags=[TAG], dependencies=[RequireStorage])

RETRY_AFTER_S = 1

OutputNameParameter = Annotated[str, Path(max_length=100, description="Kind and format", json_schema_extra={"enum": list(OUTPUT_NAMES)})]
IfNoneMatch = Annotated[str | None, Header(max_length=1000, description="The ETag of what the client has already")]
IfRange = Annotated[str | None, Header(alias="If-Range", max_length=1000, description="Send the range only if the file still has this ETag; else all of it")]
Range = Annotated[str | None, Header(alias="Range", max_length=10_000, description="Bytes to send, to resume a download: `bytes=1048576-`")]


_FILE_HEADERS = {
    "ETag": {"description": "The SHA-256 of the file", "schema": {"type": "string"}},
    "Accept-Ranges": {"description": "`bytes`", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "The name to save it under", "schema": {"type": "string"}},
}
_FILE_CONTENT = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()}
_FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": _FILE_CONTENT, "headers": _FILE_HEADERS},
    202: {"model": OutputRead, "description": "It is being made; ask again in a moment", **show(BEING_MADE)},
    206: {"description": "The bytes that Range asked for", "content": _FILE_CONTENT, "headers": _FILE_HEADERS},
    304: {"description": "The client has the file already"},
    307: {"description": "If the operator wants it so: the file is at this address of the store, for five minutes"},
    **responses(BadRequest, OutputNotFound, JobNotFound, NoOutputs, OutputFailed, OutputGone, RangeNotSatisfiable, NotAuthenticated, StorageUnavailable),
}
MAX_ROWS, DEFAULT_ROWS = 200, 50
MAX_CONTEXT, DEFAULT_CONTEXT = 100, 3
RowNumber = Annotated[int | None, Query(ge=1, le=MAX_ROW_NUMBER)]


@router.get("/outputs", responses=responses(JobNotFound, NotAuthenticated, StorageUnavailable))
async def list_outputs(job_id: uuid.UUID, database: DatabaseDep, viewer: ViewerDep, storage: StorageDep) -> OutputList:
    """The outputs of a job that were asked for, and the names of those that can be."""
    # The session is closed before the store is asked.
    async with database.reading() as session:
        job = await require_job(session, job_id=job_id, viewer=viewer)
        outputs = [read_output(output, job_id=job_id) for output in await queries.list_outputs(session, job=job)]
    if job.status not in ENDED:
        outputs += [describe_wanted(job, name) for name in job.outputs_wanted]
    return OutputList(outputs=outputs, available=await list_available(job, storage=storage))


@router.put(
    "/outputs/{name}",
    status_code=202,
    response_model=OutputRead,
    responses={
        200: {"model": OutputRead, "description": "It is there already"},
        202: {
            **show(BEING_MADE),
            "description": "It is being made",
            "headers": {"Location": {"description": "The file", "schema": {"type": "string", "format": "uri-reference"}}},
        },
        **responses(NoSuchOutput, JobNotFound, NoOutputs, NotAuthenticated, StorageUnavailable),
    },
)
async def ask_for_output(
    job_id: uuid.UUID, name: OutputNameParameter, session: SessionDep, viewer: ViewerDep, storage: StorageDep, response: Response
) -> OutputRead:
    """Have an output made, unless it is there already.

    `valid`: every row without an error. `rejected`: every row with an error, its sentences in front. `annotated`: the whole table with its errors. `errors`:
    the error records.
    """
    await require_job(session, job_id=job_id, viewer=viewer)
    if parse_output_name(name) is None:
        raise NoSuchOutput
    output = await ask_for(session, job_id=job_id, viewer=viewer, name=name, storage=storage)
    read = read_output(output, job_id=job_id)
    response.headers["Location"] = read.url
    response.status_code = 200 if output.status is OutputStatus.READY else 202
    return read


@router.get("/outputs/{name}", response_class=FileResponse, responses=_FILE_RESPONSES)
async def fetch_output(
    job_id: uuid.UUID,
    name: OutputNameParameter,
    database: DatabaseDep,
    viewer: ViewerDep,
    storage: StorageDep,
    if_none_match: IfNoneMatch = None,
    if_range: IfRange = None,
    range_header: Range = None,
) -> Response:
    """The file of an output."""
    del if_range, range_header  # declared for the document; the response reads them
    return await _answer(database, storage, viewer=viewer, job_id=job_id, name=name, if_none_match=if_none_match, is_wanted_whole=True)


@router.head("/outputs/{name}", response_class=FileResponse, responses=_FILE_RESPONSES)
async def describe_output(
    job_id: uuid.UUID,
    name: OutputNameParameter,
    database: DatabaseDep,
    viewer: ViewerDep,
    storage: StorageDep,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """What `GET` would answer, without the file."""
    return await _answer(database, storage, viewer=viewer, job_id=job_id, name=name, if_none_match=if_none_match, is_wanted_whole=False)


async def _answer(
    database: Database, storage: Storage, *, viewer: Viewer, job_id: uuid.UUID, name: str, if_none_match: str | None, is_wanted_whole: bool
) -> Response:
    # The session is closed here: a connection must not be held while the store is asked, or the file is sent.
    async with database.reading() as session:
        job = await require_job(session, job_id=job_id, viewer=viewer)
        output = await queries.get_output(session, job=job, name=name) if parse_output_name(name) is not None else None
    if output is None and name in job.outputs_wanted:
        # It was asked for at upload, and is made when the job has ended.
        if job.status not in ENDED:
            return JSONResponse(describe_wanted(job, name).model_dump(mode="json"), status_code=202, headers={"Retry-After": str(RETRY_AFTER_S)})
        reason = await find_reason_against(job, name=name, storage=storage)
        if reason is not None:
            raise NoOutputs(reason)
    if output is None:
        raise OutputNotFound
    if output.expired_at is not None:
        raise OutputGone
    if output.status is OutputStatus.FAILED:
        raise OutputFailed(output.error_message)
    if output.status is not OutputStatus.READY:
        body = read_output(output, job_id=job_id).model_dump(mode="json")
        return JSONResponse(body, status_code=202, headers={"Retry-After": str(RETRY_AFTER_S)})
    return await send_output(storage, output, filename=job.filename, if_none_match=if_none_match, is_wanted_whole=is_wanted_whole)


@router.get(
    "/rows",
    response_model=RowList,
    responses={
        202: {"model": RowsPending, "description": "They are being made ready; ask again in a moment"},
        **responses(BadRequest, JobNotFound, NoOutputs, RowsFailed, NotAuthenticated, StorageUnavailable),
    },
)
async def list_rows(
    job_id: uuid.UUID,
    database: DatabaseDep,
    viewer: ViewerDep,
    storage: StorageDep,
    from_row: Annotated[RowNumber, Query(description="Rows from this row number on")] = None,
    limit: Annotated[int | None, Query(ge=1, le=MAX_ROWS, description=f"With from_row: how many, {DEFAULT_ROWS} unless given")] = None,
    around_row: Annotated[RowNumber, Query(description="Rows around this row number")] = None,
    context: Annotated[
        int | None, Query(ge=0, le=MAX_CONTEXT, description=f"With around_row: how many before and after it, {DEFAULT_CONTEXT} unless given")
    ] = None,
    only: Annotated[Literal["failed"] | None, Query(description="`failed`: only rows with errors")] = None,
) -> Response:
    """Rows as they stand in the file with their errors, those above the header and blank ones too: `from_row` and `limit`, or `around_row` and `context`.

    An answer is at most about 4 MiB, of fewer rows then.
    """
    wanted = _choose_rows(from_row=from_row, limit=limit, around_row=around_row, context=context, only_failed=only is not None)
    found = await read_rows(database, job_id=job_id, viewer=viewer, wanted=wanted, storage=storage)
    if isinstance(found, Output):
        body = RowsPending(status=found.status, progress=found.progress).model_dump(mode="json")
        return JSONResponse(body, status_code=202, headers={"Retry-After": str(RETRY_AFTER_S)})
    return Response(found, media_type="application/json")


def _choose_rows(*, from_row: int | None, limit: int | None, around_row: int | None, context: int | None, only_failed: bool) -> RowsWanted:
    """Raise `BadRequest` if both forms are mixed."""
    if around_row is None:
        if context is not None:
            raise _refuse("context", "context goes with around_row; send that too, or limit instead.")
        return RowsWanted(from_row=from_row or 1, count=limit or DEFAULT_ROWS, only_failed=only_failed)
    for name, value in (("from_row", from_row), ("limit", limit)):
        if value is not None:
            raise _refuse(name, f"{name} does not go with around_row; send one of the two.")
    return RowsWanted(around_row=around_row, count=DEFAULT_CONTEXT if context is None else context, only_failed=only_failed)


def _refuse(name: str, message: str) -> BadRequest:
    return BadRequest(f"Correct this and send the request again: {name}.", errors=[InvalidPart(field=name, message=message)])
