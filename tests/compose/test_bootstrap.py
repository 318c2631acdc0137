"""How the virtual environment gets a pip where Python brings none, and that it gets only files whose hash is in a lock."""

from __future__ import annotations

import functools
import hashlib
import http.server
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.bootstrap import REQUIREMENTS, CannotPrepare, configured_indexes, download_pip, fingerprint, prepare, works


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the URL at which it is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(folder: Path, version: str, *, sha256: str | None = None) -> str:
    """Put a wheel next to the index and return its link."""
    (folder / "pip").mkdir(exist_ok=True)
    name = f"pip-{version}-py3-none-any.whl"
    content = f"pip {version}".encode()
    (folder / "pip" / name).write_bytes(content)
    return f'<a href="../pip/{name}#sha256={sha256 or hashlib.sha256(content).hexdigest()}">{name}</a>'


def test_index_with_several_releases_gives_the_newest(served: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, url = served
    links = [publish(folder, version) for version in ("9.0.1", "24.10", "24.9")]
    (folder / "pip" / "index.html").write_text("".join(links) + '<a href="pip-99.tar.gz">pip-99.tar.gz</a>')
    wheel = download_pip(url, tmp_path_factory.mktemp("wheels"))
    assert wheel is not None
    assert wheel.read_bytes() == b"pip 24.10"
    assert wheel.name == "pip-24.10-py3-none-any.whl"


def test_wheel_with_another_hash_is_refused(served: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, url = served
    link = publish(folder, "24.0", sha256="0" * 64)
    (folder / "pip" / "index.html").write_text(link)
    with pytest.raises(CannotPrepare, match="not the one"):
        download_pip(url, tmp_path_factory.mktemp("wheels"))


def test_index_without_pip_or_without_an_answer_gives_none(served: tuple[Path, str], tmp_path: Path) -> None:
    assert download_pip(served[1], tmp_path) is None
    assert download_pip("http://127.0.0.1:1/simple", tmp_path) is None
    assert download_pip("ftp://127.0.0.1/simple", tmp_path) is None


def test_indexes_come_from_pips_environment_and_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nextra-index-url =\n    https://b.example/simple\n    https://c.example/simple\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://a.example/simple")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    assert [url for url in configured_indexes() if "example" in url] == ["https://a.example/simple", "https://b.example/simple", "https://c.example/simple"]


def test_environment_that_is_elsewhere_or_nowhere_does_not_work(tmp_path: Path) -> None:
    assert not works(tmp_path / "bin" / "python")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not works(tmp_path / "bin" / "python")


def test_changed_requirement_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("compose.bootstrap.ROOT", tmp_path)
    for name in REQUIREMENTS:
        (tmp_path / name).write_text("a==1\n")
    for name in REQUIREMENTS:
        before = fingerprint()
        (tmp_path / name).write_text("a==2\n")
        assert fingerprint() != before, name


def make_wheel(folder: Path, name: str) -> str:
    """A wheel with one empty module; its SHA-256."""
    path, info = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_file_with_another_hash_or_none_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("compose.bootstrap.ROOT", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    sha256, venv = make_wheel(tmp_path, "locked_package"), tmp_path / ".venv"
    lock = tmp_path / "requirements.lock"
    for name in ("requirements-local.txt", "requirements-dev.lock"):
        (tmp_path / name).write_text("")
    (tmp_path / "requirements.txt").write_text("-c requirements.lock\n-r requirements.lock\nlocked_package>=1.0\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\n")
    for pin in (f"locked_package==1.0 --hash=sha256:{'0' * 64}\n", "locked_package==1.0\n", ""):
        lock.write_text(pin)
        with pytest.raises(subprocess.CalledProcessError):
            prepare(venv)
        assert not (venv / "requirements.sha256").exists()
        assert not list(venv.glob("lib/*/site-packages/locked_package*"))
    lock.write_text(f"locked_package==1.0 --hash=sha256:{sha256}\n")
    prepare(venv)
    assert list(venv.glob("lib/*/site-packages/locked_package.py"))
    assert (venv / "requirements.sha256").read_text() == fingerprint()
