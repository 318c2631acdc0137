"""The README is run: its code passes the project's tools, its tables are the service's own, its commands exist. What other documents name exists, too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import openpyxl
import pytest
from fastapi import FastAPI

from compose.local import application_commands
from features.webhooks.events import describe_end
from shared import slices
from shared.contracts import JobFinished
from shared.db.models import Job, JobStatus
from shared.vocabulary import ERROR_TYPES, NOTE_CODES, Meaning
from tests.compose_files import SERVICES
from tests.contracts.documents import DOCUMENTS, PRESENT, README, Document, place_blocks, split, write_files
from tests.paths import ROOT
from tests.services import Servers
from tests.shared.settings_table import render_rows

BIN = Path(sys.executable).parent
COPIED = ("features", "shared", "compose", "bench", "tests", "main.py", "celery_app.py", "pyproject.toml")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SCALED = {"--scale"}
"""Options of Docker Compose in the documents that take a value."""
every_document = pytest.mark.parametrize("document", PRESENT, ids=lambda document: document.name)


def run(tree: Path, *command: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **(environment or {})}
    return subprocess.run(command, cwd=tree, env=variables, capture_output=True, text=True, check=False, timeout=110)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with every Python block of the README in its place."""
    tree = tmp_path_factory.mktemp("readme")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, tree / name)  # times are kept: what was compiled and checked stays so
    write_files(tree, place_blocks())
    return tree


def test_readme_shows_a_slice_and_a_check() -> None:
    paths = list(place_blocks())
    assert {"features/archive/__init__.py", "features/archive/events.py", "features/archive/tasks.py"} <= set(paths)
    assert any(path.startswith("features/processing/checks/") for path in paths)
    assert any(path.startswith("tests/") for path in paths)


@pytest.mark.slow
def test_python_blocks_pass_ruff(tree: Path) -> None:
    blocks = place_blocks()
    # What has no path is a part of its reader's own module, whose docstring is not ours to write.
    result = run(tree, BIN / "ruff", "check", "--no-cache", "--extend-per-file-ignores", "readme_*.py:D100", *blocks)
    assert result.returncode == 0, result.stdout + result.stderr
    result = run(tree, BIN / "ruff", "format", "--no-cache", "--diff", *blocks)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_python_blocks_pass_mypy(tree: Path) -> None:
    result = run(tree, BIN / "mypy", "--cache-dir", ROOT / ".mypy_cache", *place_blocks())
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_python_blocks_keep_the_import_contracts(tree: Path) -> None:
    result = run(tree, BIN / "lint-imports", "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_tests_of_the_readme_pass(tree: Path, servers: Servers) -> None:
    paths = [path for path in place_blocks() if path.startswith("tests/")]
    environment = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "PYTEST_ADDOPTS": ""}
    result = run(tree, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *paths, environment=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(paths)} passed" in result.stdout


@pytest.mark.slow
def test_slice_of_the_readme_is_live(tree: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/d", "REDIS_URL": "redis://127.0.0.1:1/0", "UPLOAD_DIR": str(tree)}
    result = run(tree, sys.executable, "-c", "import main, celery_app; assert 'archive.note' in celery_app.app.tasks", environment=environment)
    assert result.returncode == 0, result.stderr


def list_operations(app: FastAPI) -> set[str]:
    return {f"{method.upper()} {path}" for path, operations in app.openapi()["paths"].items() for method in operations}


def list_places() -> set[str]:
    """The files and folders that are said to be where things are."""
    return {place.rstrip("/") for row in README.table("Where things are") for place in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_endpoint_table_is_the_openapi_document(app: FastAPI) -> None:
    """A slice that the README does not name yet breaks no test."""
    named = [operation for row in README.table("Endpoints") for operation in re.findall(r"`([A-Z]+ /\S*)`", row.split("|")[1])]
    assert len(named) == len(set(named))
    added = [module.router for module in slices.load("features", "router") if module.__name__.rpartition(".")[0].replace(".", "/") not in list_places()]
    of_added = {f"{method} {route.path}" for router in added for route in router.routes for method in route.methods}
    assert set(named) == list_operations(app) - of_added


def test_settings_table_is_the_settings() -> None:
    assert README.table("Settings") == render_rows()


@pytest.mark.parametrize(("title", "words"), [("Error types", ERROR_TYPES), ("Notes", NOTE_CODES)])
def test_tables_of_error_types_and_notes_are_those_of_the_code(title: str, words: Mapping[str, Meaning]) -> None:
    assert README.table(title) == [f"| `{word}` | {meaning.text} | {meaning.remedy} |" for word, meaning in words.items()]


@every_document
def test_curl_sends_text_fields_as_they_are(document: Document) -> None:
    """Of a value after -F curl cuts what follows a `;`, and reads a file for `@` and `<`: text goes by --form-string, and -F is for files."""
    commands = [*document.commands(), *(words for code in document.inline_code() if code.startswith("curl ") for words in split(code))]
    forms = [after for words in commands if words[0] == "curl" for word, after in pairwise(words) if word in {"-F", "--form"}]
    forms += [after for code in document.inline_code() for after in re.findall(r"-F (\S+)", code)]
    assert [form for form in forms if not re.fullmatch(r"'?\w+=[@<].*", form)] == []


def test_places_are_there_and_complete() -> None:
    named = list_places()
    assert [place for place in named if not (ROOT / place).exists()] == []
    assert {str(entry.parent.relative_to(ROOT)) for entry in ROOT.glob("shared/*/__init__.py")} - named == set()
    ours = {f"features/{name}" for name in ("errors", "health", "jobs", "outputs", "processing", "retry", "upload", "webhooks")}
    assert ours - named == set()  # others may be added without a word here


def test_webhook_of_the_readme_has_the_fields_that_are_sent() -> None:
    [shown] = [json.loads(block) for block in README.blocks("json") if '"type": "job.completed"' in block]
    job = Job(
        id=uuid.uuid4(),
        status=JobStatus.COMPLETED,
        filename="orders.csv",
        labels={},
        rows_processed=1,
        rows_failed=0,
        error_count=0,
        completed_at=datetime.now(UTC),
    )
    sent = describe_end(job, JobFinished(job_id=job.id, attempt=1, name="job.completed"))
    assert {name: type(value) for name, value in shown.items()} == {name: type(value) for name, value in sent.items()}


def test_processes_by_hand_are_those_of_the_local_stack() -> None:
    [block] = re.findall(r"(?:^ {4}\S.*\n)+", README.section("Processes"), re.MULTILINE)
    shown = [line.partition("#")[0].removeprefix("    python -m ").split() for line in block.splitlines()]
    started = [list(command.arguments[2:]) for command in application_commands(8000, {"WORKER_SHUTDOWN_TIMEOUT_S": "5"})]
    assert shown == [["alembic", "upgrade", "head"], *started]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder with the files that commands of the README name, whoever has them."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["name"])
    book.active.append(["Ada"])
    book.save(tmp_path / "people.xlsx")
    (tmp_path / "schema.json").write_text('{"fields": [{"name": "name", "type": "string"}]}')
    return tmp_path


def engine_commands() -> list[Sequence[str]]:
    return [words for words in README.commands() if words[0].endswith("python") and words[1:3] == ["-m", "features.processing"]]


@pytest.mark.parametrize("words", engine_commands(), ids=" ".join)
def test_python_command_of_the_readme_runs(words: Sequence[str], examples: Path) -> None:
    assert words[0] == ".venv/bin/python"
    result = run(examples, sys.executable, *words[1:], environment={"PYTHONPATH": str(ROOT)})
    assert result.returncode in {0, 1}, result.stderr  # 1: rows failed, as they should in the sample
    assert "Traceback" not in result.stderr


@every_document
def test_make_targets_exist(document: Document) -> None:
    commands = [*document.commands(), *(code.split() for code in document.inline_code() if code.startswith("make "))]
    named = {word for words in commands if words[0] == "make" for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)}
    assert named - TARGETS == set()


@every_document
def test_modules_that_are_run_exist(document: Document) -> None:
    lines = [" ".join(words) for words in document.commands()] + list(document.inline_code())
    modules = {module for line in lines for module in re.findall(r"python3? -m ([a-z_.]+)", line)}
    ours = {module for module in modules if (ROOT / module.split(".")[0]).is_dir()}
    places = {module: ROOT / module.replace(".", "/") for module in ours}
    assert [module for module, place in places.items() if not (place / "__main__.py").exists() and not place.with_suffix(".py").exists()] == []


@every_document
def test_endpoints_that_are_named_exist(document: Document, app: FastAPI) -> None:
    known = list_operations(app)
    patterns = [re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation))) for operation in known]
    named = {f"{code.partition('?')[0]}" for code in document.inline_code() if re.fullmatch(r"[A-Z]+ /(api|metrics)\S*", code)}
    named |= {describe_curl(words) for words in document.commands() if words[0] == "curl" and "/api" in " ".join(words)}
    assert [operation for operation in sorted(named) if not any(pattern.fullmatch(operation) for pattern in patterns)] == []


def describe_curl(words: Sequence[str]) -> str:
    """The method and path of a request that curl is told to make."""
    [url] = [word for word in words if re.match(r"https?://[^/]+(/api|/metrics)", word)]
    path = re.sub(r"^https?://[^/]+", "", url).partition("?")[0]
    explicit = [after for word, after in pairwise(words) if word in {"-X", "--request"}]
    method = explicit[0] if explicit else "POST" if {"-F", "-d", "--data"} & set(words) else "GET"
    return f"{method} {path}"


@every_document
def test_services_of_compose_exist(document: Document) -> None:
    named = {name for words in document.commands() if words[:2] == ["docker", "compose"] for name in list_services(words[2:])}
    assert named - set(SERVICES) == set()


def list_services(words: Sequence[str]) -> list[str]:
    """The services that a command of Docker Compose names."""
    names, skip = [], False
    while words and words[0] in {"--profile", "--env-file", "-f"}:  # and its value
        words = words[2:]
    for word in words[1:]:
        if skip:
            names.append(word.partition("=")[0])
            skip = False
        elif word.startswith("-"):
            skip = word in SCALED
        else:
            names.append(word)
            if words[0] in {"run", "exec"}:  # what follows is the command
                break
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Document) -> None:
    broken = []
    for link in document.links():
        name, _, anchor = link.partition("#")
        path = (document.path.parent / name).resolve() if name else document.path
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in Document(path).anchors()):
            broken.append(link)
    assert broken == []


def test_list_of_decisions_has_each_with_its_title() -> None:
    [index] = [document for document in DOCUMENTS if document.name == "docs/adr/README.md"]
    listed = re.findall(r"^\| \[(\d+)\]\((\S+)\) \| (.*?) \|", index.text, re.MULTILINE)
    files = sorted(path for path in (ROOT / "docs" / "adr").glob("[0-9]*.md") if not path.name.startswith("0000"))
    assert [(name, f"# {number}. {title}") for number, name, title in listed] == [(path.name, path.read_text().partition("\n")[0]) for path in files]


def list_tests(path: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))


def test_matrix_of_faults_names_tests_that_exist_and_every_test_of_workers() -> None:
    folder = ROOT / "tests" / "faults"
    tests = {path.name: list_tests(path) for path in folder.glob("test_*.py")}
    [matrix] = [document.section("The matrix") for document in DOCUMENTS if document.path == folder / "README.md"]
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", matrix)
    assert [(file, name) for file, name in named if name not in tests[file]] == []
    ends = [end for end in re.findall(r"`…(_\w+)`", matrix) if not any(name.endswith(end) for names in tests.values() for name in names)]
    begins = [begin for begin in re.findall(r"`(test_\w+_)…`", matrix) if not any(name.startswith(begin) for names in tests.values() for name in names)]
    assert ends == begins == []
    of_workers = {name for name in tests["test_workers.py"] if not any(name.endswith(end) for end in re.findall(r"`…(_\w+)`", matrix))}
    assert of_workers - {name for _, name in named} == set()
