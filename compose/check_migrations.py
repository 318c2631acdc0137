"""Check, in a temporary database, that the migrations lead to exactly the tables that the models describe.

python -m compose.check_migrations
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from compose.local import ROOT
from compose.services import start_postgres


def main() -> int:
    """Run the migrations in an empty database, then compare; return the exit code of the first command that fails, else 0."""
    # In the system's temporary folder every user can reach the files. PostgreSQL needs that if root runs this.
    with tempfile.TemporaryDirectory(prefix="rowgate-check-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        postgres = start_postgres(Path(folder), durable=False)
        try:
            environment = {**os.environ, "DATABASE_URL": postgres.url, "REDIS_URL": "redis://127.0.0.1:1/0", "UPLOAD_DIR": folder}
            for arguments in (("upgrade", "head"), ("check",)):
                command = [sys.executable, "-m", "alembic", *arguments]
                result = subprocess.run(command, check=False, cwd=ROOT, env=environment)  # noqa: S603  # this interpreter
                if result.returncode != 0:
                    return result.returncode
        finally:
            postgres.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
