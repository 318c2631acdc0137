"""The locks pin all that the requirements ask for, with hashes, and say nothing about where they were made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from compose.lock import DEV_LOCK, EVERYTHING, SERVICE, SERVICE_LOCK, main, read_bounds, read_pins
from tests.paths import ROOT

SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def pins_of(path: Path) -> dict[str, Requirement]:
    pins = read_pins(path.read_text())
    return {canonicalize_name(name): Requirement(pin.partition("\\")[0].strip()) for name, pin in pins.items()}


@pytest.mark.parametrize("path", [SERVICE_LOCK, DEV_LOCK], ids=lambda path: path.name)
def test_every_pin_is_exact_and_has_hashes(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    pins = read_pins(path.read_text())
    assert "".join(pins.values()).splitlines() == lines
    for pin in pins.values():
        first, *hashes = (line.removesuffix("\\").strip() for line in pin.splitlines())
        assert re.fullmatch(r"[a-z0-9.-]+==[^\s;]+( ; .+)?", first)
        assert hashes
        assert all(SHA256.fullmatch(line) for line in hashes), first
    assert "://" not in path.read_text()


def test_each_package_is_in_one_lock() -> None:
    assert set(pins_of(SERVICE_LOCK)) & set(pins_of(DEV_LOCK)) == set()


def test_every_requirement_is_pinned_within_its_bounds() -> None:
    service = pins_of(SERVICE_LOCK)
    for names, pins in ((SERVICE, service), (EVERYTHING, service | pins_of(DEV_LOCK))):
        for requirement in map(Requirement, read_bounds(names)):
            [pinned] = pins[canonicalize_name(requirement.name)].specifier
            assert pinned.version in requirement.specifier, requirement
    for held in map(Requirement, read_bounds(["requirements-hold.txt"])):
        assert pins_of(SERVICE_LOCK)[held.name].specifier == held.specifier


def test_requirements_take_the_lock_before_their_bounds() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    # Only so do all releases of pip verify hashes of what is required by a lower bound: the first line of a name decides.
    assert lines[:2] == ["-c requirements.lock", "-r requirements.lock"]
    assert not [line for line in lines[2:] if line.startswith("-")]


def test_failure_of_the_resolution_leaves_the_locks_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = SERVICE_LOCK.read_bytes(), DEV_LOCK.read_bytes()
    monkeypatch.setattr("compose.lock.sys.argv", ["lock"])
    (tmp_path / "uv").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setattr("compose.lock.sys.executable", str(tmp_path / "python"))
    assert main() == 3
    assert (SERVICE_LOCK.read_bytes(), DEV_LOCK.read_bytes()) == before
