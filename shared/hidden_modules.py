"""Hide modules from others that would import them if they are there, although nobody here uses what that is for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Refuser:
    """Finds no module of one name, and leaves all others to the finders after this one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        del path, target
        if name == self._name:
            raise ModuleNotFoundError(name, name=name)


@contextmanager
def hide(name: str) -> Iterator[None]:
    """Let whatever is imported within the block believe that the module is not installed, unless it is imported already."""
    refuser = _Refuser(name)
    sys.meta_path.insert(0, refuser)
    try:
        yield
    finally:
        sys.meta_path.remove(refuser)
