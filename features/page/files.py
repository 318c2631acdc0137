"""The files of the page, read once: their names with a hash of all of them, so that browsers may keep them for ever, and compressed."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
FILES_PATH = "/app/files"
MEDIA_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
SHELL = "shell.html"
_HASH_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent."""

    content: bytes
    compressed: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class PageFiles:
    """All files of the page; `version` changes with each of them."""

    version: str
    shell: bytes
    by_name: Mapping[str, PageFile]


@cache
def load_files() -> PageFiles:
    """Read the files. They are loaded below a path with their version, so that modules can import each other by relative paths."""
    paths = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*")) if path.suffix in MEDIA_TYPES}
    contents = {name: path.read_bytes() for name, path in paths.items()}
    shell = (FOLDER / SHELL).read_text("utf-8")
    digest = hashlib.sha256(shell.encode())
    for name, content in contents.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    version = digest.hexdigest()[:_HASH_CHARACTERS]
    preload = "\n".join(f'<link rel="modulepreload" href="{FILES_PATH}/{version}/{name}">' for name in contents if name.endswith(("js", "mjs")))
    return PageFiles(
        version=version,
        shell=shell.replace("{files}", f"{FILES_PATH}/{version}").replace("{preload}", preload).encode(),
        by_name={
            name: PageFile(content=content, compressed=gzip.compress(content, mtime=0), media_type=f"{MEDIA_TYPES[paths[name].suffix]}; charset=utf-8")
            for name, content in contents.items()
        },
    )
