"""GET /api/health, GET /api/health/live, GET /metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from features.health.gauges import collect_gauges
from features.health.parts import check_health
from features.health.schemas import UNHEALTHY, HealthRead, LiveRead
from shared.db.session import DatabaseDep
from shared.jobs.examples import show
from shared.observing.metrics import render_metrics
from shared.web.auth import SettingsDep
from shared.web.openapi import declare_tag

router = APIRouter(tags=[declare_tag("health", place=80, description="Whether the service can work, for operators; no key is needed.")])


@router.get(
    "/api/health",
    responses={503: {"model": HealthRead, "description": "The database or Redis does not answer, or the upload folder must not be used", **show(UNHEALTHY)}},
)
async def show_health(request: Request, response: Response, database: DatabaseDep, settings: SettingsDep) -> HealthRead:
    """Whether the database and Redis answer, and the upload folder is there; 503 with the same body if not."""
    health = await check_health(database, request.app.state.redis, request.app.state.storage, upload_dir=settings.upload_dir)
    response.status_code = 200 if health.status == "healthy" else 503
    return health


@router.get("/api/health/live")
async def show_live() -> LiveRead:
    """Whether this process answers; nothing else is checked."""
    return LiveRead()


@router.get(
    "/metrics", response_class=Response, response_description="The metrics", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def show_metrics(request: Request, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Prometheus text for all API processes, with gauges from the database, Redis and disk; a part that does not answer within a second is left out."""
    gauges = await collect_gauges(database, request.app.state.redis, upload_dir=settings.upload_dir)
    text = await asyncio.to_thread(render_metrics, gauges)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
