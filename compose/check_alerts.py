"""Check the monitoring files with Prometheus' own tool: alert rules and their unit tests, the example configuration, the dashboard's expressions.

    python -m compose.check_alerts

Needs promtool (Debian's package prometheus; PROMTOOL gives its path); without it, says so and exits 0.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MONITORING = Path(__file__).with_name("monitoring")


def list_dashboard_expressions() -> Sequence[str]:
    """Return every query of the dashboard, as Grafana sends it to Prometheus."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return [target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel.get("targets", [])]


def check_dashboard(promtool: str) -> bool:
    """Whether Prometheus can parse all of the dashboard's expressions, given to it as recording rules."""
    rules = [{"record": f"dashboard:expression:{number}", "expr": expression} for number, expression in enumerate(list_dashboard_expressions())]
    with tempfile.TemporaryDirectory(prefix="rowgate-dashboard-") as folder:
        path = Path(folder) / "dashboard.yml"
        path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML as well
        return run(promtool, "check", "rules", str(path))


def run(*command: str) -> bool:
    """Run a command and return whether it succeeded."""
    return subprocess.run(command, cwd=MONITORING, check=False).returncode == 0  # noqa: S603  # promtool and our own files


def main() -> int:
    """Check everything; return 1 if any check fails, else 0."""
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if promtool is None:
        print("skipped: the alert rules are checked by promtool, which is not installed (Debian: apt-get install prometheus)")  # noqa: T201  # a command's report
        return 0
    results = [
        run(promtool, "check", "rules", "alerts.yml"),
        run(promtool, "check", "config", "--syntax-only", "prometheus.yml"),
        run(promtool, "test", "rules", "alerts_test.yml"),
        check_dashboard(promtool),
    ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
