"""Serve /metrics of a worker or dispatcher from a thread in its main process, which also answers for its children."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog
from prometheus_client import start_http_server

from shared.observing.metrics import MULTIPROCESS_FOLDER, make_registry

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from shared.settings import Settings

log = structlog.get_logger(__name__)


class MetricsServer:
    """Serves the metrics on METRICS_PORT if it is set."""

    def __init__(self) -> None:
        self._server: WSGIServer | None = None
        self._pid = 0

    def start(self, settings: Settings, *, has_children: bool) -> None:
        """Start serving, at most once. If the port cannot be opened, that is logged and the jobs run without metrics."""
        if settings.metrics_port == 0 or self._server is not None:
            return
        if has_children and not MULTIPROCESS_FOLDER:
            log.error("metrics are not served: METRICS_PORT of a worker needs PROMETHEUS_MULTIPROC_DIR, where its children keep their counts")
            return
        try:
            self._server, _ = start_http_server(settings.metrics_port, settings.metrics_host, registry=make_registry())
        except OSError as error:
            log.error("metrics are not served", host=settings.metrics_host, port=settings.metrics_port, reason=str(error))  # noqa: TRY400  # says it all
            return
        self._pid = os.getpid()
        log.info("metrics are served", host=settings.metrics_host, port=self._server.server_port)

    def leave_to_parent(self) -> None:
        """Close the socket that a forked child inherited; otherwise it would hold the port after its parent's end."""
        if self._server is not None and self._pid != os.getpid():
            self._server.socket.close()
            self._server = None
