"""POST /api/files/upload and POST /api/jobs/{job_id}/check-again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse

from features.upload.accept import Intake, accept_file
from features.upload.check_again import check_again
from features.upload.lingering import BodyStream, refuse
from features.upload.problems import (
    DiskFull,
    FileTooLarge,
    InvalidUpload,
    KeyReused,
    MalformedBody,
    TooManyOfYours,
    TooManyUploads,
)
from features.upload.receive import name_network, receive_file, require_acceptable_length, upload_slot
from features.upload.schemas import FORM_OPENAPI, CheckAgain, CheckAgainRead, UploadRead
from shared.descriptors.judging import start_judging
from shared.descriptors.problems import MAX_DESCRIPTOR_BYTES
from shared.observing.tracing import span
from shared.web.auth import SettingsDep, ViewerDep
from shared.web.body_limit import BOUNDED_BY_ENDPOINT, MAX_BODY_BYTES, accept_body
from shared.web.openapi import declare_tag
from shared.web.problems import ClientTooSlow, FileGone, JobNotFound, NotAuthenticated, Problem, StorageUnavailable, responses
from shared.web.request_log import note_act, note_job
from shared.web.storage import RequireStorage

CHECK_AGAIN_BYTES = 2 * MAX_DESCRIPTOR_BYTES + MAX_BODY_BYTES
"""A schema and a dialect of the largest size, and whatever else there is."""


@asynccontextmanager
async def open_intake(app: FastAPI) -> AsyncIterator[None]:
    """Keep one `Intake`, and the process that judges descriptors, while the application runs; on shutdown, wait for the groups that are still running."""
    app.state.intake = Intake(app.state.database, app.state.storage)
    await asyncio.to_thread(start_judging)
    try:
        yield
    finally:
        await app.state.intake.aclose()


TAG = declare_tag("upload", place=10, description="Begin here: send a file, or check one again that is stored already.")
router = APIRouter(prefix="/api", tags=[TAG], lifespan=open_intake)

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$", description="The same key with the same file and fields returns the first job again (200)"),
]


async def get_intake(request: Request) -> Intake:
    """Return the application's `Intake`."""
    intake: Intake = request.app.state.intake
    return intake


@router.post(
    "/files/upload",
    status_code=202,
    dependencies=[RequireStorage],
    response_model=UploadRead,
    openapi_extra=FORM_OPENAPI,
    responses={
        200: {"model": UploadRead, "description": "The job that this Idempotency-Key was used for before"},
        202: {"headers": {"Location": {"description": "The job", "schema": {"type": "string", "format": "uri-reference"}}}},
        **responses(
            InvalidUpload, MalformedBody, KeyReused, NotAuthenticated, ClientTooSlow, FileTooLarge, TooManyUploads, TooManyOfYours, DiskFull, StorageUnavailable
        ),
    },
)
@accept_body(BOUNDED_BY_ENDPOINT)
async def upload_file(
    request: Request,
    settings: SettingsDep,
    intake: Annotated[Intake, Depends(get_intake)],
    viewer: ViewerDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Upload a file to be checked; the answer is the job to follow."""
    stream = BodyStream(request)
    try:
        require_acceptable_length(request.headers.get("content-length"), settings)
        async with upload_slot(settings, viewer=viewer, address=request.client.host if request.client else None) as client:
            content_type = request.headers.get("content-type", "")
            with span("store file") as storing:
                received = await receive_file(aiter(stream), content_type=content_type, settings=settings, storage=intake.storage, client=client)
                storing.set({"rowgate.file.type": received.file_type, "rowgate.file.bytes": received.size})
        job, is_new = await accept_file(intake, received, viewer=viewer, idempotency_key=idempotency_key)
    except Problem as problem:
        return refuse(problem, stream)
    note_job(job.id)
    body = UploadRead.model_validate(job).model_dump(mode="json")
    return JSONResponse(body, status_code=202 if is_new else 200, headers={"Location": f"/api/jobs/{job.id}"})


@router.post(
    "/jobs/{job_id}/check-again",
    status_code=202,
    dependencies=[RequireStorage],
    responses={
        202: {"headers": {"Location": {"description": "The new job", "schema": {"type": "string", "format": "uri-reference"}}}},
        **responses(InvalidUpload, FileGone, JobNotFound, NotAuthenticated, ClientTooSlow, TooManyUploads, DiskFull, StorageUnavailable),
    },
)
@accept_body(CHECK_AGAIN_BYTES)
async def check_job_again(
    job_id: uuid.UUID,
    request: Request,
    response: Response,
    settings: SettingsDep,
    intake: Annotated[Intake, Depends(get_intake)],
    viewer: ViewerDep,
    given: CheckAgain | None = None,
) -> CheckAgainRead:
    """Check the stored file of a job again, as a new job: with another schema, dialect or encoding, or with the same ones."""
    client = viewer.name or name_network(request.client.host if request.client else None)
    job = await check_again(intake, job_id=job_id, viewer=viewer, given=given or CheckAgain(), settings=settings, client=client)
    note_act("check-again", job_id=job_id, new_job_id=str(job.id))
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return CheckAgainRead.model_validate(job)
