"""How the virtual environment gets pip if Python comes without it."""

from __future__ import annotations

import functools
import hashlib
import http.server
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.bootstrap import CannotPrepare, configured_indexes, download_pip, fingerprint, works


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
    for name in ("requirements.txt", "requirements-local.txt", "requirements-dev.txt", "requirements.lock"):
        (tmp_path / name).write_text("a==1\n")
    before = fingerprint()
    (tmp_path / "requirements.lock").write_text("a==2\n")
    assert fingerprint() != before
