"""Jobs survive the death of what works on them, and the whole stack's end."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from compose.verify.jobs import LONG_ROWS, make_csv, prove_end, send, start_long_job
from compose.verify.stack import Stack, require, say


def prove_recovery(stack: Stack, client: httpx.Client) -> None:
    """Check that jobs survive the death of their worker, and a restart of Redis and the database."""
    say("killing the worker in the middle of a job")
    job_id = start_long_job(client)
    # Kills the program rather than its init, so that the container ends and is restarted by Docker.
    stack.compose("exec", "-T", "worker", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
    prove_end(client, job_id, rows=LONG_ROWS)
    say("restarting Redis and the database under a job")
    job_id = start_long_job(client)
    stack.compose("restart", "redis", "db")
    prove_end(client, job_id, rows=LONG_ROWS)
    stack.up()
    prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)


def prove_restart(stack: Stack, client: httpx.Client, *, kept: str) -> None:
    """Check that the job `kept` is there after all containers were removed, and that several workers share the work."""
    say("stopping and starting again, with three workers")
    stack.down()
    begun = datetime.now(UTC)
    stack.up("--scale", "worker=3")
    require(stack.health()["worker"] == ["healthy"] * 3, "There are not three healthy workers.")
    require(client.get(f"/api/jobs/{kept}").status_code == httpx.codes.OK, "The job did not survive a restart.")
    for job_id in [send(client, "table.csv", make_csv(20)) for _ in range(12)]:
        prove_end(client, job_id, rows=20)
    stack.require_quiet_logs(since=begun)
