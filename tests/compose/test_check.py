"""Every check runs, even if one before it fails."""

from __future__ import annotations

import pytest

from compose import check


@pytest.mark.parametrize(("broken", "status"), [((), 0), (("lint",), 1), (("lint", "types"), 1)])
def test_all_checks_run_and_those_that_failed_are_named(
    broken: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    commands = {name: ("python", "-c", f"print('ran {name}'); raise SystemExit({int(name in broken)})") for name in check.CHECKS}
    monkeypatch.setattr(check, "CHECKS", commands)
    assert check.main() == status
    out = capfd.readouterr().out
    assert [name for name in commands if f"\nran {name}\n" in out] == list(commands)
    summary = out.splitlines()[-1]
    assert summary == (f"check: {len(broken)} of 6 failed: {', '.join(broken)}" if broken else "check: all 6 passed")
