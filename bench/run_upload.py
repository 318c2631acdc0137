"""Send one upload over loopback from a separate process: `python -m bench.run_upload URL FILE`."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

BOUNDARY = "bench-boundary"


def upload(url: str, path: Path) -> dict[str, float]:
    """Return the seconds from the first byte sent, and from the last byte sent, to the whole answer. Raises `RuntimeError` if it is not a 202."""
    target = urlsplit(url)
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\nContent-Type: text/csv\r\n\r\n'
    tail = f"\r\n--{BOUNDARY}--\r\n"
    length = len(head) + path.stat().st_size + len(tail)
    request = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((str(target.hostname), int(target.port or 80))) as connection, path.open("rb") as file:
        begun = time.perf_counter()
        connection.sendall((request + head).encode())
        # The kernel sends the file, so the sender costs next to nothing.
        connection.sendfile(file)
        connection.sendall(tail.encode())
        sent = time.perf_counter()
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        ended = time.perf_counter()
    if b" 202 " not in answer.partition(b"\r\n")[0]:
        raise RuntimeError(f"{url} answered {answer[:500]!r}")
    return {"wall_s": ended - begun, "after_last_byte_s": ended - sent}


if __name__ == "__main__":
    json.dump(upload(sys.argv[1], Path(sys.argv[2])), sys.stdout)
