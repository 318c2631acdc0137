"""Loading the application opens nothing, so that the API's processes can be forked from the process that has loaded it."""

from __future__ import annotations

import os
import subprocess
import sys

from shared.settings import Settings
from tests.paths import ROOT

PROGRAM = """
import asyncio, gc, os, sys, threading
from shared.web.serve import load_application
before = set(os.listdir("/proc/self/fd"))
load_application()
opened = {os.readlink(f"/proc/self/fd/{name}") for name in set(os.listdir("/proc/self/fd")) - before if os.path.exists(f"/proc/self/fd/{name}")}
assert not {path for path in opened if not path.endswith(".db")}, opened
assert threading.active_count() == 1, threading.enumerate()
assert len(os.listdir("/proc/self/task")) == 1
assert not [thing for thing in gc.get_objects() if isinstance(thing, asyncio.AbstractEventLoop)]
"""


def test_loading_the_application_starts_no_thread_and_opens_nothing(settings: Settings) -> None:
    environment = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url, "UPLOAD_DIR": str(settings.upload_folder)}
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env={**os.environ, **environment}, check=True, timeout=60)
