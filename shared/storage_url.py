"""How `STORAGE_URL` is written, and what is wrong with one that is written otherwise."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Amazon S3, "General purpose bucket naming rules"."""
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(?:/[A-Za-z0-9!_.*'()-]+)*")
"""Amazon S3, "Naming Amazon S3 objects": the characters that are safe in all stores."""


def parse_storage_url(value: str) -> Path | tuple[str, str]:
    """Return the folder of a `file:///…`, or the bucket and prefix of an `s3://…`. Raises `ValueError`, which does not quote what may be a password."""
    parts = urlsplit(value)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, password, query or fragment; credentials are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise ValueError("must have three slashes and an absolute path: file:///srv/rowgate")
        return Path(unquote(parts.path))
    if parts.scheme == "s3":
        prefix = parts.path.strip("/")
        if _BUCKET.fullmatch(parts.netloc) is None:
            raise ValueError("must name a bucket, of small letters, digits, dots and dashes: s3://bucket/prefix")
        if prefix and _PREFIX.fullmatch(prefix) is None:
            raise ValueError("must have a prefix of letters, digits, slashes, dots, dashes and underscores: s3://bucket/prefix")
        return parts.netloc, prefix
    raise ValueError("must begin with s3:// or file:///")
