"""The line of each request in the log: what was asked, how it ended, and who asked; and a line of its own for each act of a client on a job."""

from __future__ import annotations

import uuid
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from starlette.types import Scope

Act = Literal["delete", "cancel", "retry", "redeliver", "check-again", "patch"]

SLOW_S = 1.0
"""A request that takes longer is logged whatever it is."""
_QUIET_ROUTES = ("/api/health", "/metrics")
"""Asked every few seconds by programs that watch; their lines are for debugging only."""
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

log = structlog.get_logger(__name__)
audit_log = structlog.get_logger("audit")


@dataclass(slots=True)
class _Noted:
    """What an endpoint has noted of its request."""

    job_id: uuid.UUID | None = None
    acts: list[tuple[Act, dict[str, Any]]] = field(default_factory=list)


_noted: ContextVar[_Noted] = ContextVar("noted")


def note_job(job_id: uuid.UUID) -> None:
    """Name the job that this request made, which its path does not name."""
    _noted.get(_Noted()).job_id = job_id


def note_act(act: Act, *, job_id: uuid.UUID, **details: Any) -> None:  # noqa: ANN401  # whatever is logged
    """Have a line `audit: …` written if this request succeeds, after its transaction; its key, client and request id are added."""
    _noted.get(_Noted()).acts.append((act, {"job_id": str(job_id), **details}))


class RequestLog:
    """Logs one request, which begins when this is made; make it before anything else of the request is logged."""

    def __init__(self, scope: Scope, *, request_id: str, logs_reads: bool) -> None:
        self._scope, self._logs_reads = scope, logs_reads
        self._noted = _Noted()
        _noted.set(self._noted)
        client = scope.get("client")
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, client=client[0] if client else None)

    def end(self, *, route: str, status: int, duration_s: float, sent_bytes: int) -> None:
        """Write the request's lines."""
        if status < HTTPStatus.BAD_REQUEST:
            for act, details in self._noted.acts:
                audit_log.info(f"audit: {act}", **details)
        job_id = self.find_job()
        write = self._choose(route, status, duration_s)
        write(
            "request",
            method=self._scope["method"],
            path=self._scope["path"],
            status=status,
            duration_ms=round(duration_s * 1000, 1),
            sent_bytes=sent_bytes,
            **({} if job_id is None else {"job_id": str(job_id)}),
        )

    def _choose(self, route: str, status: int, duration_s: float) -> Any:  # noqa: ANN401  # a method of a logger
        if route.startswith(_QUIET_ROUTES):
            return log.debug
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return log.warning
        is_routine = self._scope["method"] in _READING and status < HTTPStatus.BAD_REQUEST and duration_s < SLOW_S
        return log.debug if is_routine and not self._logs_reads else log.info

    def find_job(self) -> uuid.UUID | None:
        """Return the job that the request made, or that its path names."""
        if self._noted.job_id is not None:
            return self._noted.job_id
        with suppress(ValueError):
            return uuid.UUID(self._scope.get("path_params", {}).get("job_id", ""))
        return None


def name_key(name: str) -> None:
    """Name the API key of this request in each of its lines."""
    structlog.contextvars.bind_contextvars(key=name)
