"""A job through PostgreSQL and Redis that speak TLS, and what is said of a certificate that nobody trusts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import new_database, running_service
from tests.paths import ROOT
from tests.services import Servers
from tests.tls import running_tls, write_authority

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Secured:
    """Where the servers are, and the files with the authority that they have, and another."""

    database_url: str
    redis_url: str
    trusted: Path
    other: Path

    def urls(self, authority: Path) -> Servers:
        return Servers(f"{self.database_url}?sslmode=verify-full&sslrootcert={authority}", f"{self.redis_url}?ssl_cert_reqs=required&ssl_ca_certs={authority}")


@pytest.fixture(scope="module")
def secured(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    authority, trusted = write_authority(folder, "trusted")
    _, other = write_authority(folder, "other")
    with ExitStack() as stack:
        database = stack.enter_context(running_tls(new_database(servers.database_url), authority))
        redis = stack.enter_context(running_tls(servers.redis_url.removesuffix("/0") + "/2", authority))
        yield Secured(database, redis, trusted, other)


def test_job_runs_with_servers_whose_certificates_are_verified(secured: Secured, tmp_path: Path) -> None:
    place = secured.urls(secured.trusted)
    files = {"DATABASE_URL": tmp_path / "database-url", "REDIS_URL": tmp_path / "redis-url"}
    for name, url in zip(files, (place.database_url, place.redis_url), strict=True):
        files[name].write_text(url)
    given = dict.fromkeys(files, "") | {f"{name}_FILE": str(path) for name, path in files.items()}
    with running_service(place, tmp_path, waits_for_worker=True, LOG_FORMAT="json", **given) as service:
        job = service.wait_for(service.upload("a.csv", b"id,born\n1,2001-02-03\n2,soon\n"))
        assert (job["status"], job["total_rows"]) == ("COMPLETED", 2)
        health = service.client.get("/api/health").json()
        assert (health["status"], health["workers"]["status"]) == ("healthy", "alive")
        assert '"level": "error"' not in "".join(path.read_text() for path in service.logs.glob("*.log"))


@pytest.mark.parametrize("part", ["database", "redis"])
def test_certificate_of_another_authority_is_refused_and_the_log_says_so(secured: Secured, tmp_path: Path, part: str) -> None:
    good, bad = secured.urls(secured.trusted), secured.urls(secured.other)
    program = {"database": ["-m", "shared.web.serve", "--port", "0"], "redis": ["-m", "celery", "-A", "celery_app", "worker", "-Q", "processing", "-c", "1"]}
    environment = {
        **os.environ,
        "DATABASE_URL": (bad if part == "database" else good).database_url,
        "REDIS_URL": (bad if part == "redis" else good).redis_url,
        "UPLOAD_DIR": str(tmp_path),
        "LOG_FORMAT": "json",
    }
    process = subprocess.Popen([sys.executable, *program[part]], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if "certificate verify failed" in line:
            break
    process.kill()
    process.communicate()
    assert said, "nothing was said"
    assert "certificate verify failed" in said[-1], "".join(said[-20:])
