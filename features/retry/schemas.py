"""What goes over the wire of a retry: nothing in, the job out, as everywhere."""

from __future__ import annotations

from shared.web.schemas import JobRead

__all__ = ["JobRead"]
