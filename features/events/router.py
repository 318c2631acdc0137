"""GET /api/jobs/{job_id}/events and GET /api/events."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response

from features.events.feed import Feed, tell_state
from features.events.problems import TooManyStreams
from features.events.streams import JobsStream, JobStream
from features.events.types import MAX_ID_CHARACTERS, Snapshot, Version
from shared.web.auth import ViewerDep
from shared.web.database import DatabaseDep
from shared.web.event_stream import EventStream
from shared.web.openapi import declare_tag
from shared.web.problems import BadRequest, JobNotFound, NotAuthenticated, responses


@asynccontextmanager
async def open_feed(app: FastAPI) -> AsyncIterator[None]:
    """Keep one `Feed` while the application runs."""
    app.state.feed = Feed(app.state.database, max_streams=app.state.settings.max_event_streams)
    try:
        yield
    finally:
        await app.state.feed.aclose()


TAG = declare_tag("events", place=25, description="Follow jobs without asking again and again: server-sent events, for browsers and programs.")
router = APIRouter(prefix="/api", tags=[TAG], lifespan=open_feed)

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", max_length=MAX_ID_CHARACTERS, description="`id` of the last event that came, to go on after it; browsers send it by themselves"
    ),
]
_EXAMPLE = 'event: job\ndata: {"id": "9f86d081-884c-4d65-9a2f-eaa0c55ad015", "status": "PROCESSING", "progress": 40, …}\nid: 1.7.0\n\n'
_EVENT = {
    "type": "object",
    "title": "ServerSentEvent",
    "description": "Each event of the stream",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["job", "deleted"]},
        "data": {"type": "string", "contentMediaType": "application/json", "description": "The job, or the `id` of the one that was deleted"},
        "id": {"type": "string", "description": "To go on after it: send it as Last-Event-ID"},
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `job` with the job as `GET` shows it, without its schema; `deleted` with its `id`; a comment every 15 s",
        "content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}},
    }
}


async def get_feed(request: Request) -> Feed:
    """Return the application's `Feed`."""
    feed: Feed = request.app.state.feed
    return feed


FeedDep = Annotated[Feed, Depends(get_feed)]


@router.get(
    "/jobs/{job_id}/events",
    response_class=EventStream,
    status_code=200,
    responses={
        **_STREAM,
        204: {"description": "The client has been told everything already, and nothing more will come: browsers stop asking"},
        **responses(BadRequest, JobNotFound, TooManyStreams, NotAuthenticated),
    },
)
async def follow_job(job_id: uuid.UUID, feed: FeedDep, viewer: ViewerDep, last_event_id: LastEventId = None) -> Response:
    """Follow one job: an event at once, one for each change, a last one after its end. Outputs that are being made keep the stream open."""
    state = await feed.read_state(job_id, viewer=viewer)
    if state is None:
        raise JobNotFound
    seen = Version.parse(last_event_id or "")
    if seen == state.version and tell_state(state).is_last:
        return Response(status_code=204)
    return EventStream(JobStream(feed, viewer=viewer, job_id=job_id, seen=seen))


@router.get("/events", response_class=EventStream, status_code=200, responses={**_STREAM, **responses(BadRequest, TooManyStreams, NotAuthenticated)})
async def follow_jobs(database: DatabaseDep, feed: FeedDep, viewer: ViewerDep, last_event_id: LastEventId = None) -> Response:
    """Follow all jobs: an event for each that has not ended (the newest 1,000), then one for each change of any. `Last-Event-ID` goes on without a gap."""
    return EventStream(JobsStream(feed, database, viewer=viewer, seen=Snapshot.parse(last_event_id or "")))
