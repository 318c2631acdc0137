""".env.example names every setting and no other."""

from __future__ import annotations

import re

from compose.local import ROOT
from shared.check_config import FOR_TRACING, ONLY_FOR_COMPOSE
from shared.settings import Settings


def test_example_names_every_setting_and_no_other() -> None:
    named = re.findall(r"^#([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == {name.upper() for name in Settings.model_fields} | ONLY_FOR_COMPOSE | FOR_TRACING
