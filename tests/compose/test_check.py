"""Every check runs, even if one before it fails; hooks and CI run the same ones."""

from __future__ import annotations

import pytest
import yaml

from compose import check
from tests.paths import ROOT


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
    assert summary == (f"check: {len(broken)} of 7 failed: {', '.join(broken)}" if broken else "check: all 7 passed")


def test_hooks_before_a_commit_are_the_checks() -> None:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    called = {tuple(word.removeprefix(".venv/bin/") for word in hook["entry"].split() if word not in {"--force-exclude", "."}) for hook in local["hooks"]}
    checks = {tuple(word for word in command if word not in {".", "compose/Dockerfile"}) for command in check.CHECKS.values()}
    assert called == checks


def test_workflow_runs_what_everybody_can_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    [job] = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]
    [python] = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    assert python == "3.11"
