"""The FastAPI application: its lifespan and problem handlers, then the routers of every slice.

python -m shared.web.serve --port 8000
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import shared.observing  # noqa: F401  # before structlog

# isort: split
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from shared import slices
from shared.current_secrets import current_secrets
from shared.db.errors import is_database_unavailable
from shared.db.session import open_database
from shared.jobs import storage_guard
from shared.jobs.storage_guard import StorageGuard
from shared.messages.broker import Broker
from shared.messages.redis_client import open_redis
from shared.observing import tracing
from shared.observing.logging import configure_logging
from shared.settings import Settings, get_settings
from shared.storage.location import open_storage
from shared.version import VERSION
from shared.web.middleware import DOCS_FILES, add_middleware
from shared.web.openapi import install_openapi
from shared.web.problem_handlers import install_problem_handlers

NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own spans have the queries of URLs, in which clients look for names of files, and its logs what exceptions say."""

log = structlog.get_logger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application with every slice in `features/`."""
    settings = settings or get_settings()
    configure_logging(settings)
    tracing.prepare("rowgate-api")
    app = FastAPIOffline(
        title="Rowgate",
        version=VERSION,
        summary="Takes a CSV or Excel file, checks every row, keeps every bad cell, and tells you when it is done.",
        lifespan=_lifespan,
        redirect_slashes=False,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        static_url=DOCS_FILES,
        generate_unique_id_function=lambda route: route.name,  # the names of the functions in generated clients
    )
    app.state.settings = settings
    app.state.secrets = current_secrets(settings)
    install_problem_handlers(app)
    slices.load_declarations("features")
    routes: list[APIRoute] = []
    for module in slices.load("features", "router"):
        app.include_router(module.router)
        routes += _list_routes(module.router, module.__name__)
        app.webhooks.include_router(getattr(module, "webhooks", APIRouter()))
    add_middleware(app, settings, routes=routes)
    install_openapi(app)
    return app


def _list_routes(router: APIRouter, name: str) -> list[APIRoute]:
    """Return the routes of a slice. Raises `TypeError` if it has others: what they declare of bodies and origins would be passed over."""
    for route in router.routes:
        if not isinstance(route, APIRoute):
            raise TypeError(f"{name}: a router must have its routes itself; {type(route).__name__} is not supported.")
    return [route for route in router.routes if isinstance(route, APIRoute)]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    if settings.publish_address is not None:
        hint = "reachable only from this machine; set PUBLISH_ADDRESS to publish it elsewhere" if settings.is_published_on_loopback else "with API keys"
        log.info("published", address=settings.publish_address, hint=hint)
    for key in app.state.secrets.api_keys():
        if not key.is_named:
            log.info("the API key has no name: its jobs belong to the name told here, which its successor needs", name=key.name, write=f"{key.name}:key")
    async with AsyncExitStack() as closing:  # whatever fails, the others are closed
        closing.push_async_callback(asyncio.to_thread, tracing.stop)
        broker = Broker(settings)
        closing.push_async_callback(broker.aclose)
        app.state.redis = open_redis(settings)
        closing.push_async_callback(app.state.redis.aclose)
        app.state.database = open_database(
            settings,
            send=broker.send,
            application_name="rowgate-api",
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_max_overflow,
            command_timeout_s=settings.db_command_timeout_s,
        )
        closing.push_async_callback(app.state.database.close)
        app.state.storage = open_storage(settings)
        closing.push_async_callback(app.state.storage.aclose)
        guard = app.state.storage_guard = StorageGuard(app.state.database, app.state.storage, may_adopt=True)
        await _look_at_storage(guard)
        every_s = max(storage_guard.API_WATCH_S, app.state.storage.look_every_s)
        closing.push_async_callback(_end, asyncio.create_task(guard.watch(every_s=every_s)))
        yield


async def _look_at_storage(guard: StorageGuard) -> None:
    try:
        await guard.find_problem()
    except Exception as error:
        if not is_database_unavailable(error):
            raise
        # It is looked at again all the time.
        log.warning("the stored files could not be compared with the database yet", reason=repr(error))


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


app = create_app()
