"""Print the section of CHANGELOG.md that belongs to a tag: the text of its release page.

python -m compose.release_notes v0.2.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from shared.version import VERSION

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def find_section(text: str, version: str) -> str | None:
    """Return the section of a version, without its heading; None if there is none."""
    found = re.search(rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|\Z)", text, re.MULTILINE | re.DOTALL)
    return None if found is None else found[1].strip()


def main() -> int:
    """Print the section of the tag in the first argument; 1 if the changelog or the code does not know that version."""
    version = (sys.argv[1] if len(sys.argv) > 1 else "").removeprefix("v")
    section = find_section(CHANGELOG.read_text(encoding="utf-8"), version)
    if section is None or version != VERSION:
        sys.stderr.write(f"rowgate: {version or 'no version'} is not a version with a section in CHANGELOG.md and in shared/version.py ({VERSION})\n")
        return 1
    sys.stdout.write(section + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
