"""A process imports at its start what it needs there, and nothing that only few requests or jobs need: each module would take its memory in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = pytest.mark.slow

NOWHERE = ("alembic", "jsonschema", "rich", "pygments", "pandas", "openpyxl", "xlrd", "msoffcrypto", "obstore", "opentelemetry.sdk")
NOT_IN_THE_API = (*NOWHERE, "celery", "kombu", "numpy", "pyarrow", "aiodns", "httpx")
NOT_IN_WORKERS = (*NOWHERE, "fastapi", "uvicorn", "aiodns", "httpx", "pyarrow.parquet", "pyarrow.dataset", "pyarrow.fs")
NOT_IN_DISPATCHERS = ("alembic", "jsonschema", "fastapi", "uvicorn", "numpy", "pyarrow")
API = "import main"
WORKER, DISPATCHER = (
    f'import celery_app\nclass Instance: quiet = False\ncelery_app._choose_role("celery@here", Instance(), {{"queues": "{queues}"}})'
    for queues in ("processing,outputs", "webhooks,maintenance")
)


@pytest.mark.parametrize(
    ("start", "refused"), [(API, NOT_IN_THE_API), (WORKER, NOT_IN_WORKERS), (DISPATCHER, NOT_IN_DISPATCHERS)], ids=["api", "worker", "dispatcher"]
)
def test_process_that_starts_imports_nothing_that_it_may_do_without(start: str, refused: Sequence[str], tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "UPLOAD_DIR": str(tmp_path)}
    environment |= {"DATABASE_URL": "postgresql://u@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    program = f"{start}\nimport sys\nfound = [name for name in {refused!r} if name in sys.modules]\nassert not found, found"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
