"""Make the project's virtual environment, or bring it up to date with the requirements; returns at once if there is nothing to do.

    python3 compose/bootstrap.py

Runs on a bare Python: it uses only the standard library. Debian without python3-venv has no ensurepip; the environment then gets its pip from another pip
on this machine, or from the index that pip is configured with. Exits 1 with one sentence that says what to install if neither works.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import html.parser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ("requirements.txt", "requirements-local.txt", "requirements-dev.txt", "requirements.lock", "requirements-dev.lock")
OLDEST = (3, 11)
INDEX_TIMEOUT_S = 30.0


class CannotPrepare(Exception):
    """The environment cannot be created; the message says what is missing."""


def main() -> int:
    """Make or update `.venv`, one process at a time; return the exit code."""
    if sys.version_info < OLDEST:
        return complain(f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed, but this is {sys.version.split()[0]}: run make PYTHON=/path/to/a/newer/python3")
    try:
        with (ROOT / "requirements.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            prepare(ROOT / ".venv")
    except CannotPrepare as problem:
        return complain(str(problem))
    except subprocess.CalledProcessError as failure:
        return complain(f"'{' '.join(map(str, failure.cmd))}' failed; its output is above.")
    except OSError as problem:
        return complain(str(problem))
    return 0


def complain(message: str) -> int:
    """Print why it did not work and return the exit code."""
    say(message)
    return 1


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"env: {message}", file=sys.stderr, flush=True)  # noqa: T201  # a command's report


def prepare(venv: Path) -> None:
    """Bring `venv` to the state that the requirements describe, unless its stamp says that it is already there."""
    stamp, wanted = venv / "requirements.sha256", fingerprint()
    python = venv / "bin" / "python"
    if works(python) and stamp.is_file() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    if not works(python, "-m", "pip"):
        say("making .venv")
        shutil.rmtree(venv, ignore_errors=True)
        make_venv(venv)
    say("installing the requirements")
    # What is not in a lock, or is not the file whose hash stands there, is refused.
    verified = ["--disable-pip-version-check", "--require-hashes", "-r", str(ROOT / "requirements-dev.txt")]
    run(str(python), "-m", "pip", "install", "--quiet", *verified)
    stamp.write_text(wanted)


def fingerprint() -> str:
    """Hash everything the environment is made from: the requirements, this interpreter's version and the project's path."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for name in REQUIREMENTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def works(python: Path, *arguments: str) -> bool:
    """Whether the environment's interpreter runs, has this version, and knows its own path (a copied environment does not).

    With `arguments`, also whether the interpreter runs with them and `--version`.
    """
    if not python.exists():
        return False
    about = "import sys; print(sys.version_info[:2], sys.prefix)"
    answer = subprocess.run([python, "-c", about], check=False, capture_output=True, text=True)  # noqa: S603  # the environment's own
    if answer.stdout.strip() != f"{sys.version_info[:2]} {python.parent.parent}":
        return False
    if not arguments:
        return True
    return subprocess.run([python, *arguments, "--version"], check=False, capture_output=True).returncode == 0  # noqa: S603  # as above


def make_venv(venv: Path) -> None:
    """Make an environment that has pip."""
    if importlib.util.find_spec("ensurepip") is not None:
        # Debian without python3-venv may have the package ensurepip but not the wheels that it unpacks.
        attempt = subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False, capture_output=True)  # noqa: S603  # this interpreter
        if attempt.returncode == 0:
            return
        shutil.rmtree(venv, ignore_errors=True)
    run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    with tempfile.TemporaryDirectory() as folder:
        wheel = find_pip_wheel(Path(folder))
        # A wheel is a ZIP file, and Python can run a package inside one.
        run(str(venv / "bin" / "python"), f"{wheel}/pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", str(wheel))


def find_pip_wheel(folder: Path) -> Path:
    """Find a wheel of pip: one kept by the system, one downloaded by another pip, or one from a configured index. Raises `CannotPrepare`."""
    kept = sorted(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    if kept:
        return kept[-1]
    for pip in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"], ["python3", "-m", "pip"]):
        if shutil.which(pip[0]) is None:
            continue
        arguments = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", str(folder), "pip"]
        if subprocess.run(arguments, check=False, capture_output=True).returncode == 0:  # noqa: S603  # pip by its own names
            found = sorted(folder.glob("pip-*.whl"))
            if found:
                return found[-1]
    for index in configured_indexes():
        wheel = download_pip(index, folder)
        if wheel is not None:
            return wheel
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    raise CannotPrepare(f"{sys.executable} has neither ensurepip nor pip. Install one of them (Debian, Ubuntu: apt-get install {name}) and run this again.")


def configured_indexes() -> list[str]:
    """Return the package indexes named in pip's environment variables and configuration files (pip documentation, "Configuration")."""
    names = ("index-url", "extra-index-url")
    texts = [os.environ.get("PIP_" + name.upper().replace("-", "_"), "") for name in names]
    home = Path.home()
    places = [os.environ.get("PIP_CONFIG_FILE", ""), "/etc/pip.conf", "/etc/xdg/pip/pip.conf", str(home / ".config/pip/pip.conf"), str(home / ".pip/pip.conf")]
    parser = configparser.RawConfigParser(strict=False)
    parser.read([place for place in places if place], encoding="utf-8")
    texts += [parser.get(section, name, fallback="") for section in ("global", "download", "install") for name in names]
    return [url for text in texts for url in text.split()]


class _Links(html.parser.HTMLParser):
    """Collects the addresses of all links on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if tag == "a" and name == "href" and value]


def download_pip(index: str, folder: Path) -> Path | None:
    """Download the newest pip from a simple index (PEP 503); None if the index has none or does not answer.

    The file's hash is verified if the index gives one. Raises `CannotPrepare` if it does not match.
    """
    page = f"{index.rstrip('/')}/pip/"
    if urllib.parse.urlsplit(page).scheme not in {"http", "https", "file"}:
        return None
    try:
        links = _Links()
        address = f"{page}index.html" if page.startswith("file:") else page
        with urllib.request.urlopen(address, timeout=INDEX_TIMEOUT_S) as answer:  # noqa: S310  # the scheme was checked above
            links.feed(answer.read().decode("utf-8", "replace"))
        found = {
            tuple(map(int, match[1].split("."))): link for link in links.addresses if (match := re.search(r"/?pip-([\d.]+)-py3-none-any\.whl(?:#|$)", link))
        }
        if not found:
            return None
        link = urllib.parse.urljoin(page, found[max(found)])
        address, _, fragment = link.partition("#")
        with urllib.request.urlopen(address, timeout=INDEX_TIMEOUT_S) as answer:  # noqa: S310  # as above
            content = answer.read()
    except (OSError, ValueError):
        return None
    if fragment.startswith("sha256=") and hashlib.sha256(content).hexdigest() != fragment.removeprefix("sha256="):
        raise CannotPrepare(f"The index {index} gave a pip whose hash is not the one it announced.")
    wheel = folder / address.rpartition("/")[2]
    wheel.write_bytes(content)
    return wheel


def run(*arguments: str) -> None:
    """Run a program with its output on this terminal. Raises `subprocess.CalledProcessError` if it fails."""
    subprocess.run(arguments, check=True)  # noqa: S603  # our own commands


if __name__ == "__main__":
    sys.exit(main())
