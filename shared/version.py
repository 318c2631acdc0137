"""The version of the service: the one place where it is written. pyproject.toml reads it from here."""

from __future__ import annotations

VERSION = "0.2.0"
