"""Jobs survive the death of what works on them."""

from __future__ import annotations

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
    require("database system is shut down" in stack.compose("logs", "--no-color", "db"), "PostgreSQL did not end by itself when its container was stopped.")
    prove_end(client, job_id, rows=LONG_ROWS)
    stack.up()
    prove_end(client, send(client, "table.csv", make_csv(20)), rows=20)
