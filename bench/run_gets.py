"""Send GETs one after another over one connection, in a separate process.

`python -m bench.run_gets URL FILE TIMES`, where FILE is a JSON object of names and paths.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def run_gets(url: str, paths: Mapping[str, str], times: int) -> Mapping[str, Any]:
    """Return for each name the seconds to the whole answer of each round except the first, and the last status.

    Every second round runs in reverse order.
    """
    target = urlsplit(url)
    connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
    found: dict[str, Any] = {name: {"walls_s": [], "status": 0} for name in paths}
    for number in range(times + 1):
        for name in paths if number % 2 else reversed(list(paths)):
            begun = time.perf_counter()
            connection.request("GET", paths[name])
            answer = connection.getresponse()
            answer.read()
            found[name]["status"] = answer.status
            if number:
                found[name]["walls_s"].append(time.perf_counter() - begun)
    return found


if __name__ == "__main__":
    json.dump(run_gets(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3])), sys.stdout)
