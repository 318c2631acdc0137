"""Put one file into an S3 store in parts, by obstore alone, from a separate process: `python -m bench.run_put ENDPOINT BUCKET KEY SECRET FILE`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import obstore
from obstore.store import S3Store

from shared.storage.s3_writer import PART_BYTES, PARTS_AT_ONCE


def put(endpoint: str, bucket: str, key_id: str, secret: str, path: Path) -> dict[str, float]:
    """Return the seconds that it takes, with the sizes of the service."""
    options = {"allow_http": True}
    store = S3Store(bucket, endpoint=endpoint, region="us-east-1", access_key_id=key_id, secret_access_key=secret, client_options=options)  # type: ignore[arg-type]  # a TypedDict
    begun = time.perf_counter()
    obstore.put(store, "bench-put", path, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
    return {"wall_s": time.perf_counter() - begun}


if __name__ == "__main__":
    _, endpoint, bucket, key_id, secret, file = sys.argv
    json.dump(put(endpoint, bucket, key_id, secret, Path(file)), sys.stdout)
