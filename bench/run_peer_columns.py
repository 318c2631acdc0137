"""Let DuckDB and frictionless say which cells of files without a schema are wrong: `python -m bench.run_peer_columns FOLDER`, in the peers' environment.

Each file has two columns, a number of the row and the one that counts. Printed is, by peer and file, the rows (from 1) that it calls wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import frictionless  # type: ignore[import-not-found]  # lives in the peers' environment
from frictionless import system

SMALL_SAMPLE = 20
EVERYTHING = -1


def find_by_duckdb(path: Path, sample_rows: int) -> list[int]:
    """Return the rows that DuckDB rejects, with types found from the first rows."""
    database = duckdb.connect()
    database.execute("SET threads = 1")
    database.execute(f"SELECT count(*) FROM read_csv(?, header = true, delim = ',', store_rejects = true, sample_size = {sample_rows})", [str(path)]).fetchall()
    return sorted({line - 1 for (line,) in database.execute("SELECT line FROM reject_errors").fetchall()})


def find_by_frictionless(path: Path) -> list[int]:
    """Return the rows with errors by the schema that frictionless infers, which has to fit nine of ten cells as ours has."""
    with system.use_context(trusted=True):
        resource = frictionless.Resource(path=str(path), detector=frictionless.Detector(field_confidence=0.9, sample_size=1_000))
        report = resource.validate(limit_errors=10**9)
    return sorted({error.row_number - 1 for task in report.tasks for error in task.errors if getattr(error, "row_number", None)})


PEERS: dict[str, Callable[[Path], list[int]]] = {
    "DuckDB": lambda path: find_by_duckdb(path, EVERYTHING),
    "DuckDB, types from 20 rows": lambda path: find_by_duckdb(path, SMALL_SAMPLE),
    "frictionless": find_by_frictionless,
}


def find_all(folder: Path) -> dict[str, dict[str, list[int]]]:
    """Return, by peer and file, the rows that it calls wrong; a file that it cannot read has none."""
    found: dict[str, dict[str, list[int]]] = {name: {} for name in PEERS}
    for path in sorted(folder.glob("*.csv")):
        for name, find in PEERS.items():
            try:
                found[name][path.stem] = find(path)
            except Exception as error:  # noqa: BLE001 - whatever a peer raises, it has found no cell
                print(f"{name} {path.name}: {error}", file=sys.stderr)
                found[name][path.stem] = []
    return found


if __name__ == "__main__":
    print(json.dumps(find_all(Path(sys.argv[1]))))
