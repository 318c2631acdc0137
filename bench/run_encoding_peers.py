"""Ask other detectors for the encodings of files: `python -m bench.run_encoding_peers LIST`, in the peers' environment; LIST has a path on each line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cchardet  # type: ignore[import-not-found,unused-ignore]  # lives in the peers' environment
import chardet
import charset_normalizer


def ask_charset_normalizer(data: bytes) -> str | None:
    """Return the best match's encoding."""
    best = charset_normalizer.from_bytes(data).best()
    return None if best is None else best.encoding


PEERS: Mapping[str, Callable[[bytes], str | None]] = {
    "chardet": lambda data: chardet.detect(data, compat_names=False)["encoding"],
    "cchardet": lambda data: cchardet.detect(data)["encoding"],
    "charset-normalizer": ask_charset_normalizer,
}


def main() -> None:
    """Print what each peer calls each file."""
    paths = Path(sys.argv[1]).read_text().splitlines()
    found = {name: [detect(Path(path).read_bytes()) for path in paths] for name, detect in PEERS.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
