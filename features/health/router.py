"""GET /api/health, GET /api/health/live, GET /api/health/ready, GET /metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends, Request, Response

from features.health.gauges import collect_gauges
from features.health.parts import check_health
from features.health.schemas import UNHEALTHY, HealthRead, LiveRead, ReadyRead
from shared.jobs.examples import show
from shared.observing.metrics import render_metrics
from shared.web.auth import KnownViewerDep, SettingsDep
from shared.web.database import DatabaseDep
from shared.web.event_stream import IS_STOPPING
from shared.web.openapi import declare_tag
from shared.web.problems import NotAllowed, NotAuthenticated, Stopping, responses

router = APIRouter(
    tags=[declare_tag("health", place=80, description="Whether the service can work, for operators. Health needs no key; the metrics need an admin's.")]
)


@router.get(
    "/api/health",
    openapi_extra={"security": [{}]},  # or no key at all
    responses={503: {"model": HealthRead, "description": "The database or Redis does not answer, or the stored files must not be used", **show(UNHEALTHY)}},
)
async def show_health(request: Request, response: Response, viewer: KnownViewerDep, database: DatabaseDep) -> HealthRead:
    """Whether the database and Redis answer, and the stored files are there; 503 with the same body if not. Details are shown to those with a key."""
    health = await check_health(database, request.app.state.redis, request.app.state.storage, request.app.state.storage_guard)
    response.status_code = 200 if health.status == "healthy" else 503
    return health if viewer is not None else health.model_copy(update={"details": None})


@router.get("/api/health/live")
async def show_live() -> LiveRead:
    """Whether this process answers; nothing else is checked."""
    return LiveRead()


@router.get("/api/health/ready", responses=responses(Stopping))
async def show_ready(request: Request) -> ReadyRead:
    """Whether this process takes requests, for a proxy that chooses between several; 503 from the moment at which it is asked to stop.

    Nothing else is checked: without the database every process would be taken out, and clients would not be told what is wrong.
    """
    if IS_STOPPING in request.scope:
        raise Stopping
    return ReadyRead()


async def require_scraper(settings: SettingsDep, viewer: KnownViewerDep) -> None:
    """Let admins in, whose business the numbers of all clients are, and everybody with `METRICS_OPEN`. Raises `NotAuthenticated` or `NotAllowed`."""
    if settings.metrics_open:
        return
    if viewer is None:
        raise NotAuthenticated(headers={"WWW-Authenticate": "Bearer"})
    if not viewer.sees_all:
        raise NotAllowed


@router.get(
    "/metrics",
    response_class=Response,
    response_description="The metrics",
    dependencies=[Depends(require_scraper)],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **responses(NotAuthenticated, NotAllowed)},
)
async def show_metrics(request: Request, database: DatabaseDep) -> Response:
    """Prometheus text for all API processes, with gauges from the database, Redis and disk; a part that does not answer within a second is left out."""
    gauges = await collect_gauges(database, request.app.state.redis, request.app.state.storage)
    text = await asyncio.to_thread(render_metrics, gauges)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
