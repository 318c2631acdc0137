"""Run the engine over a table that is described by its columns: `python -m bench.run_tables FILE SCHEMA_FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.probe import report_run
from bench.run_engine import inspect

if __name__ == "__main__":
    report_run(lambda: inspect(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))
