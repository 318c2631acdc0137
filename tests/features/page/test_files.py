from __future__ import annotations

import hashlib
import re

import httpx
import pytest
from fastapi import FastAPI

from features.page.files import FOLDER, load_files
from shared.settings import Settings
from tests.paths import ROOT

MAX_SCRIPT_BYTES = 100_000
SCRIPTS = sorted(path for path in FOLDER.rglob("*") if path.suffix in {".js", ".mjs"})


def test_scripts_are_small() -> None:
    assert len(SCRIPTS) > 10
    assert sum(path.stat().st_size for path in SCRIPTS) <= MAX_SCRIPT_BYTES


def test_vendored_scripts_are_those_of_their_packages() -> None:
    vendor = FOLDER / "vendor"
    rows = re.findall(
        r"^\| `([\w.]+)` \| \w+ \| [\d.]+ \| `[\w./]+` \| `([0-9a-f]{64})` \| \[[\w.-]+\]\((.+)\) \|$", (vendor / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _, _ in rows} == {path.name for path in vendor.glob("*.mjs")}
    for name, digest, licence in rows:
        content = (vendor / name).read_bytes().replace(b'from"./preact.mjs"', b'from"preact"')  # the one change that is made
        assert hashlib.sha256(content).hexdigest() == digest
        assert (vendor / licence).stat().st_size > 500


def test_page_has_no_script_or_style_of_its_own() -> None:
    """The policy would keep the browser from running them."""
    shell = load_files().shell.decode()
    assert not re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", shell)
    assert not re.findall(
        r"\bstyle=|\binnerHTML|dangerouslySetInnerHTML|\beval\(|new Function", "".join(path.read_text() for path in SCRIPTS if path.suffix == ".js")
    )


async def test_page_is_at_every_path_of_its_own(client: httpx.AsyncClient) -> None:
    for path in ("/", "/app", "/app/", "/app/jobs/x", "/app/jobs/x?view=schema&row=1", "/app/anything/else"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.content == load_files().shell
    assert (await client.head("/")).status_code == 200


async def test_page_may_load_and_ask_nothing_but_this_server(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/")).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == ("'none'", "'none'", "'none'")
    assert (headers["x-content-type-options"], headers["x-frame-options"], headers["referrer-policy"]) == ("nosniff", "DENY", "no-referrer")
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("encoding", ["gzip, br", "identity"])
async def test_files_are_kept_for_ever_since_their_path_changes_with_them(client: httpx.AsyncClient, encoding: str) -> None:
    found = re.findall(r'(?:href|src)="(/app/files/[^"]+)"', (await client.get("/")).text)
    assert len(found) > 15
    for path in found:
        answer = await client.get(path, headers={"Accept-Encoding": encoding})
        assert answer.status_code == 200, path
        assert answer.content == (FOLDER / path.split("/", 4)[4]).read_bytes()
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (answer.headers.get("content-encoding") == "gzip") == ("gzip" in encoding)
        assert answer.headers["vary"] == "Accept-Encoding"


async def test_other_paths_of_files_are_404(client: httpx.AsyncClient) -> None:
    version = load_files().version
    for path in (
        f"{version}/nothing.js",
        f"{version}/../router.py",
        f"{version}/%2e%2e/router.py",
        "0123456789abcdef/main.js",
        f"{version}/shell.html",
        f"{version}/",
    ):
        answer = await client.get(f"/app/files/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path


async def test_page_can_be_turned_off(app: FastAPI, client: httpx.AsyncClient, settings: Settings) -> None:
    app.state.settings = settings.model_copy(update={"page": False})
    for path in ("/", "/app/jobs/x", f"/app/files/{load_files().version}/main.js"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert (await client.get("/api/jobs")).status_code == 200


def test_pictures_of_the_page_are_small_and_shown() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert [picture.name for picture in pictures] == ["page-dark.png", "page-light.png"]
    assert sum(picture.stat().st_size for picture in pictures) < 300_000
    readme = (ROOT / "README.md").read_text()
    assert all(f"](docs/images/{picture.name})" in readme for picture in pictures)
