"""The text of a release page."""

from __future__ import annotations

import subprocess
import sys

from compose.release_notes import CHANGELOG, find_section
from shared.version import VERSION
from tests.paths import ROOT


def run(tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "compose.release_notes", tag], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)


def test_release_page_of_this_version_begins_with_what_an_upgrade_needs() -> None:
    made = run(f"v{VERSION}")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("### Upgrade from ")
    assert "## [" not in made.stdout


def test_tag_that_is_not_this_version_makes_no_page() -> None:
    for tag in ("v0.1.0", "v9.9.9", ""):
        made = run(tag)
        assert (made.returncode, made.stdout) == (1, "")


def test_section_ends_where_the_next_begins() -> None:
    text = "## [Unreleased]\n\n## [2.0.0] - 2027\n\n### Added\n\n- b\n\n## [1.0.0]\n\n- a\n"
    assert find_section(text, "2.0.0") == "### Added\n\n- b"
    assert find_section(text, "1.0.0") == "- a"
    assert find_section(text, "3.0.0") is None
    assert find_section(CHANGELOG.read_text(), "0.1.0")
