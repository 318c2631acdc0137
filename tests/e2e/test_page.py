"""The page in a real browser: the whole way of a file by mouse and by keyboard, every state that it can show, and that it works through failures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest

from compose.browser import find_browser
from compose.processes import Child, wait_until
from compose.services import HTTP_OPTIONS, free_port
from tests.e2e.browser import running_browser, visiting
from tests.e2e.conftest import Api, Service, command, execute, new_database, running_api, running_service
from tests.paths import ROOT
from tests.services import Servers

if find_browser() is None:
    pytest.skip("the page is tested in Chromium, and there is none here (Debian: apt-get install chromium)", allow_module_level=True)

from playwright.sync_api import Browser, expect

NARROW, DARK = {"viewport": {"width": 360, "height": 740}}, {"color_scheme": "dark"}
KEY, OTHER_KEY, NEW_KEY = "key-of-ada-0123456789", "key-of-bob-0123456789", "key-of-cyd-0123456789"
HEAD = "Kundennr;Name;E-Mail;Geburtsdatum;Umsatz\r\n"
ROWS = [f"{number:05d};Ada {number};ada{number}@example.org;{1 + number % 28:02d}.03.1980;1.{number % 1000:03d},50" for number in range(1, 301)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def full(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(servers, tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def api(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API without a worker, so that jobs stay as they are."""
    with running_api(servers, tmp_path_factory.mktemp("page-api")) as running:
        yield running


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """A list as people send it, with three bad e-mail addresses and a day that is none."""
    rows = ROWS.copy()
    for number in (10, 150, 280):
        rows[number] = rows[number].replace("@", "(at)")
    rows[199] = re.sub(r"\d\d\.03\.1980", "31.02.1980", rows[199])
    file = tmp_path / "Kunden.csv"
    file.write_text(HEAD + "\r\n".join(rows), encoding="cp1252", newline="")
    return file


def upload(url: str, name: str, content: bytes, **fields: str) -> str:
    answer = httpx.post(f"{url}/api/files/upload", files={"file": (name, content)}, data=fields, timeout=30)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def test_way_of_a_file_by_mouse(full: Service, browser: Browser, customers: Path, tmp_path: Path) -> None:  # noqa: PLR0915  # one visit, step by step
    with visiting(browser, full.url) as visitor:
        page = visitor.page
        visitor.visit("/")
        visitor.send(customers)
        page.wait_for_url(re.compile(r"/app/jobs/"))
        expect(page.locator(".outcome")).to_have_text("Has errors 296 of 300 rows are good; 4 have 4 errors, most of them in E-Mail.")
        expect(page).to_have_title("Kunden.csv: Has errors \u2013 Rowgate")
        expect(page.locator("tr.current td.bad")).to_contain_text("ada11(at)example.org")
        expect(page.locator("tr.current td.bad .why")).to_have_text('This value must be an e-mail address: it has no "@".')
        assert page.locator(".rows tbody tr").count() == 7
        visitor.check()

        # One cause alone, another of its errors, and a row that has none.
        cause = visitor.by_role("button", "1 time: Geburtsdatum")
        cause.click()
        expect(page.get_by_role("heading", name="Errors 1 to 1 of 1")).to_be_visible()
        expect(cause).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".error .place")).to_have_text("D201")
        page.get_by_text("Show all 4 errors").click()
        visitor.by_role("button", "C282").click()
        expect(page.locator("tr.current th")).to_contain_text("282")
        page.get_by_label("Go to row").fill("5")
        visitor.by_role("button", "Show", exact=True).click()
        expect(page.get_by_role("heading", name="Rows around row 5")).to_be_visible()
        expect(page.get_by_role("region", name="Rows around row 5").locator("tr.current")).to_contain_text("ada4@example.org")
        assert "row=5" in page.url
        page.reload()
        expect(page.get_by_role("heading", name="Rows around row 5")).to_be_visible()
        visitor.check()

        # The rules that were found are corrected, and the file is checked again.
        visitor.by_role("link", "Columns and rules").click()
        expect(page.get_by_label("Geburtsdatum: written as")).to_have_value("%d.%m.%Y")
        page.get_by_label("E-Mail: written as").select_option("default")
        visitor.by_role("button", "Change the rules of Umsatz").click()
        page.get_by_label("At most of Umsatz").fill("1250")
        visitor.check()
        first = page.url.partition("?")[0]
        visitor.by_role("button", "Check with these rules").click()
        page.wait_for_url(lambda url: "/app/jobs/" in url and not url.startswith(first))
        expect(page.locator(".comparison summary")).to_contain_text("4 errors in 4 rows then")
        expect(page.locator(".comparison table")).to_contain_text("This value must be at most 1250.")
        visitor.check()
        page.locator(".comparison a").click()
        expect(page.locator(".outcome")).to_contain_text("4 have 4 errors")

        # What can be taken away is made, and saved.
        visitor.by_role("button", "Get it back with its errors marked").click()
        with page.expect_download() as download:
            visitor.by_role("link", "Save annotated.xlsx").click()
        visitor.check()
        assert download.value.suggested_filename == "Kunden-annotated.xlsx"
        download.value.save_as(tmp_path / "marked.xlsx")
        rows = list(openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets[0].iter_rows(values_only=True))
        assert (rows[0][:3], len(rows)) == (("_row", "_errors", "Kundennr"), 301)
        for view in ("Webhook", "Details"):
            visitor.by_role("link", view).click()
            expect(page.get_by_role("heading", level=2, name=view)).to_be_visible()
            visitor.check()

        # Nothing is deleted without a question.
        visitor.by_role("button", "Delete").click()
        visitor.check()
        visitor.by_role("button", "No, go back").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Kunden.csv")
        visitor.by_role("button", "Delete").click()
        visitor.by_role("button", "Delete it").click()
        page.wait_for_url(full.url + "/")
        expect(page.locator(f".list a[href='{first.removeprefix(full.url)}']")).to_have_count(0)


def test_way_of_a_file_by_keyboard_on_a_narrow_dark_screen(full: Service, browser: Browser, customers: Path) -> None:  # noqa: PLR0915  # as above
    with visiting(browser, full.url, **NARROW, **DARK) as visitor:
        page, press = visitor.page, visitor.page.keyboard.press
        page.on("filechooser", lambda chooser: chooser.set_files(customers))
        visitor.visit("/")
        press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        visitor.check()
        visitor.tab_to(visitor.by_role("button", "Choose files"))
        press("Enter")
        page.wait_for_url(re.compile(r"/app/jobs/"))
        expect(page.locator("tr.current td.bad")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        visitor.check()

        visitor.tab_to(visitor.by_role("button", "3 times: E-Mail"))
        press("Space")
        expect(page.get_by_role("heading", name="Errors 1 to 3 of 3")).to_be_visible()
        visitor.tab_to(page.locator(".error button").nth(1))
        press("Enter")
        expect(page.locator("tr.current th")).to_contain_text("152")
        visitor.tab_to(page.get_by_role("region", name="Rows around row 152"))  # so that a wide table can be scrolled
        visitor.check()

        press("Home")
        page.get_by_role("heading", level=1).focus()
        visitor.tab_to(visitor.by_role("link", "Columns and rules"))
        press("Enter")
        visitor.tab_to(page.get_by_label("Name: required"))
        press("Space")
        expect(page.get_by_label("Name: required")).not_to_be_checked()
        visitor.check()
        visitor.tab_to(visitor.by_role("button", "Check with these rules"))
        first = page.url.partition("?")[0]
        press("Enter")
        page.wait_for_url(lambda url: "/app/jobs/" in url and not url.startswith(first))
        expect(page.locator(".comparison summary")).to_contain_text("4 errors in 4 rows then, 4 errors in 4 rows now")

        visitor.tab_to(visitor.by_role("link", "Take away"))
        press("Enter")
        visitor.tab_to(visitor.by_role("button", "Make it (valid.csv)"))
        press("Enter")
        expect(visitor.by_role("link", "Save valid.csv")).to_be_visible()
        visitor.check()
        visitor.tab_to(visitor.by_role("button", "Delete"))
        press("Enter")
        expect(visitor.by_role("button", "No, go back")).to_be_focused()
        press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        visitor.tab_to(visitor.by_role("button", "Delete"))
        press("Enter")
        expect(visitor.by_role("button", "No, go back")).to_be_focused()
        press("Shift+Tab")
        expect(visitor.by_role("button", "Delete it")).to_be_focused()
        press("Enter")
        page.wait_for_url(full.url + "/")


@pytest.mark.parametrize("look", [{}, {**NARROW, **DARK}], ids=["wide", "narrow-dark"])
def test_states_of_ended_jobs(full: Service, browser: Browser, look: dict[str, Any]) -> None:
    long, right_to_left = "x" * 5000, "שם הלקוח"  # Hebrew
    wide = ",".join(f"c{number}" for number in range(500)) + "\n" + "".join(",".join(["1"] * 499 + ["x" if row == 30 else "2"]) + "\n" for row in range(60))
    jobs = {
        "broken": full.upload("broken.xlsx", b"PK\x03\x04" + b"\0" * 400),
        "good": full.upload("good.csv", b"id,name\n1,Ada\n2,Bob\n3,Cy\n"),
        "empty": full.upload("header.csv", b"id,name\n"),
        "wide": full.upload("wide.csv", wide.encode()),
        "text": full.upload("טקסט.csv", f"{right_to_left},n\n".encode() + f"ירושלים,1\n{long},2\nחיפה,x\n".encode() + b"Akko,3\n" * 20),  # noqa: RUF001  # as above
        "header": full.upload("header-error.csv", b"id,id\n1,2\n", schema=json.dumps({"fields": [{"name": "id"}, {"name": "name"}]})),
    }
    for job_id in jobs.values():
        full.wait_for(job_id)
    with visiting(browser, full.url, **look) as visitor:
        page = visitor.page
        expected = {
            "broken": "Could not be read",
            "good": "All 3 rows are good.",
            "empty": "The file has a header and no rows.",
            "wide": "59 of 60 rows are good; 1 has 1 error, all in c499.",
            "text": "22 of 23 rows are good; 1 has 1 error, all in n.",
            "header": "No row is wrong in itself, but the header has",
        }
        for name, sentence in expected.items():
            visitor.visit(f"/app/jobs/{jobs[name]}")
            expect(page.locator(".outcome")).to_contain_text(sentence)
            if name not in {"broken", "good", "empty"}:
                expect(page.locator(".rows tbody tr").first).to_be_visible()
            visitor.check()
        visitor.visit(f"/app/jobs/{jobs['wide']}")
        box = page.locator("tr.current td.chosen").bounding_box()  # it stands far to the right, and is in view all the same
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.evaluate("innerWidth")
        expect(page.get_by_text("Columns 471 to 500 of 500")).to_be_visible()
        visitor.by_role("button", "Columns before").click()
        expect(page.get_by_text("Columns 441 to 470 of 500")).to_be_visible()
        visitor.visit(f"/app/jobs/{jobs['wide']}?view=schema")
        expect(page.locator(".schema tbody tr")).to_have_count(100)
        visitor.visit(f"/app/jobs/{jobs['broken']}")
        expect(visitor.by_role("button", "Start over")).to_be_visible()
        visitor.visit(f"/app/jobs/{jobs['broken']}?view=outputs")
        expect(page.get_by_text("Nothing can be made of this file")).to_be_visible()
        visitor.check()
        for path, heading in (
            (f"/app/jobs/{uuid.uuid4()}", "There is no such file"),
            ("/app/jobs/x", "There is no such file"),
            ("/app/nothing", "There is nothing here"),
        ):
            visitor.visit(path)
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
            visitor.check()
        visitor.visit("/")
        expect(page.locator(".list tbody tr").nth(5)).to_be_visible()
        visitor.check()


def test_deliveries_are_shown_and_sent_again(full: Service, browser: Browser) -> None:
    job_id = full.upload("told.csv", b"id,name\n1,Ada\n2,Bob\n", webhook_url=f"http://127.0.0.1:{free_port()}/hook")  # nobody listens there
    full.wait_for(job_id)
    with visiting(browser, full.url) as visitor:
        page = visitor.page
        visitor.visit(f"/app/jobs/{job_id}?view=webhook")
        look = visitor.by_role("button", "Look again")

        def has(text: str) -> bool:
            look.click()
            page.wait_for_timeout(200)
            return page.get_by_text(text).count() > 0

        assert wait_until(lambda: has("given up after all attempts"), timeout_s=30)
        assert page.locator(".delivery ol > li").count() == 4
        visitor.check()
        visitor.by_role("button", "Send the newest again").click()
        expect(visitor.by_role("button", "Send the newest again")).to_be_disabled()
        assert wait_until(lambda: has("8 attempts"), timeout_s=30)
        visitor.check()


def test_refused_files_say_why_at_their_place(api: Api, browser: Browser, tmp_path: Path) -> None:
    files = [tmp_path / "notes.txt", tmp_path / "empty.csv", tmp_path / "good.csv"]
    for file, content in zip(files, ("hello", "", "a\n1\n"), strict=True):
        file.write_text(content)
    with visiting(browser, api.url) as visitor:
        page = visitor.page
        visitor.visit("/")
        page.locator("input[type=file][multiple]").set_input_files(files)
        expect(page.locator(".upload.refused")).to_have_count(2)
        expect(page.locator(".upload.done")).to_have_count(1)
        expect(page.locator(".upload.refused").first).to_contain_text(".csv")
        visitor.check()
        page.get_by_text("Rules and format").click()
        page.get_by_label("Table Schema (JSON)").fill('{"fields": [{"name": "a", "type": "integr"}, {"name": "b", "constraints": {"minimum": 1}}]}')
        page.get_by_label("Encoding").fill("latin-99")
        visitor.send(files[2])
        field = page.locator(".field", has=page.get_by_label("Table Schema (JSON)"))
        expect(field.locator(".wrong")).to_contain_text("/schema/fields/0/type")
        expect(page.locator(".field", has=page.get_by_label("Encoding")).locator(".wrong")).to_be_visible()
        expect(page.get_by_label("Table Schema (JSON)")).to_have_attribute("aria-invalid", "true")
        visitor.check()
        # What was corrected is what is sent again, and it is still there when the person comes back.
        page.get_by_label("Table Schema (JSON)").fill('{"fields": [{"name": "a", "type": "integer"}]}')
        page.get_by_label("Encoding").fill("utf-8")
        visitor.by_role("button", "Send it again").last.click()
        expect(page.locator(".upload.done")).to_have_count(2)
        page.locator(".upload.done a").last.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("good.csv")
        page.go_back()
        expect(page.get_by_label("Encoding")).to_have_value("utf-8")
        page.go_forward()
        expect(page.get_by_role("heading", level=1)).to_have_text("good.csv")


def test_upload_shows_how_far_it_is_and_can_be_cancelled(api: Api, browser: Browser, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"id,text\n" + b"1,abcdefgh\n" * 3_000_000)
    before = api.client.get("/api/jobs").json()["total"]
    with visiting(browser, api.url) as visitor:
        page = visitor.page
        # A network of 2 MB a second.
        visitor.context.new_cdp_session(page).send(
            "Network.emulateNetworkConditions", {"offline": False, "latency": 5, "downloadThroughput": 2e6, "uploadThroughput": 2e6}
        )
        visitor.visit("/")
        visitor.send(large)
        expect(page.locator(".upload.goes")).to_contain_text(re.compile(r"\d+ % · .* MB of 33 MB · .*/s · .* left"))
        visitor.check()
        visitor.by_role("button", "Cancel").click()
        expect(page.locator(".upload")).to_have_count(0)
    assert wait_until(lambda: not list(api.uploads.glob("*.part*")), timeout_s=20)
    assert api.client.get("/api/jobs").json()["total"] == before


def test_job_that_is_under_way_is_followed_live(api: Api, browser: Browser) -> None:
    job_id = upload(api.url, "slow.csv", b"a\n1\n")
    with visiting(browser, api.url) as visitor, visiting(browser, api.url) as watcher:
        page = visitor.page
        visitor.visit(f"/app/jobs/{job_id}")
        watcher.visit("/?q=slow")
        expect(page.locator(".status")).to_have_text("Waiting")
        visitor.check()
        execute(
            api.database_url,
            "UPDATE jobs SET status = 'PROCESSING', attempt = 1, progress = 40, rows_processed = 4000, total_rows = 10000, error_count = 3, rows_failed = 2,"
            " lease_expires_at = now() + interval '1 hour', updated_at = clock_timestamp() WHERE id = $1",
            uuid.UUID(job_id),
        )
        expect(page.locator(".outcome")).to_have_text("Being checked 4,000 of about 10,000 rows checked so far; 3 errors in 2 rows.")
        expect(watcher.page.locator(".list .status")).to_have_text("Being checked")
        visitor.check()
        watcher.check()
        visitor.by_role("button", "Cancel").click()
        visitor.check()
        visitor.by_role("button", "Stop", exact=True).click()
        expect(page.locator(".status")).to_have_text("Cancelled")
        expect(watcher.page.locator(".list .status")).to_have_text("Cancelled")
        visitor.check()
        visitor.by_role("button", "Start over").click()
        expect(page.locator(".status")).to_have_text("Waiting")
        httpx.post(f"{api.url}/api/jobs/{job_id}/cancel")
        expect(page.locator(".status")).to_have_text("Cancelled")
        httpx.delete(f"{api.url}/api/jobs/{job_id}")
        expect(watcher.page.get_by_text("No file matches")).to_be_visible()
        watcher.check()


def test_list_is_searched_filtered_and_gone_on_with(api: Api, browser: Browser) -> None:
    for number in range(60):
        upload(api.url, f"many-{number:02d}.csv", b"a\n1\n")
    upload(api.url, "other.csv", b"a\n1\n")
    with visiting(browser, api.url) as visitor:
        page = visitor.page
        visitor.visit("/")
        rows = page.locator(".list tbody tr")
        expect(rows).to_have_count(50)
        visitor.by_role("button", "Show more").click()
        page.get_by_label("Name").fill("MANY-")
        expect(page.get_by_text("50 of 60 files")).to_be_visible()
        visitor.by_role("button", "Show more").click()
        expect(rows).to_have_count(60)
        upload(api.url, "many-60.csv", b"a\n1\n")
        upload(api.url, "another.csv", b"a\n1\n")
        expect(rows.first).to_contain_text("many-60.csv")
        expect(rows).to_have_count(61)
        page.get_by_label("Name").fill("many-4")
        expect(rows).to_have_count(10)
        page.get_by_label("Status").select_option("FAILED")
        expect(page.get_by_text("No file matches")).to_be_visible()
        assert "status=FAILED" in page.url
        visitor.visit("/?q=many-4&status=QUEUED")
        expect(rows).to_have_count(10)


def test_sign_in_keeps_the_key_for_the_tab_and_out_of_addresses_and_logs(servers: Servers, browser: Browser, customers: Path, tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    settings: dict[str, Any] = {
        "API_KEYS": f"ada:{KEY},bob:{OTHER_KEY},cyd:{NEW_KEY}",
        "REDIS_URL": servers.redis_url.removesuffix("/0") + "/3",  # the worker of the other service must not take its messages
    }
    with running_service(servers, tmp_path / "service", **settings) as service, visiting(browser, service.url) as visitor:
        page = visitor.page
        hers, his = (
            httpx.post(f"{service.url}/api/files/upload", files={"file": (name, customers.read_bytes())}, headers={"X-API-Key": key}).json()["job_id"]
            for name, key in (("hers.csv", KEY), ("his.csv", OTHER_KEY))
        )
        visitor.visit(f"/app/jobs/{hers}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        visitor.check()
        page.get_by_label("API key").fill("wrong-key-0123456789")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This key is not known here")).to_be_visible()
        visitor.check()
        page.get_by_label("API key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("hers.csv")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("hers.csv")
        visitor.visit(f"/app/jobs/{his}")
        expect(page.get_by_role("heading", level=1)).to_have_text("There is no such file")
        visitor.visit("/")
        expect(page.locator(".list tbody tr")).to_have_count(1)
        visitor.check()
        visitor.visit(f"/app/jobs/{hers}?view=outputs")
        visitor.by_role("button", "Make it (valid.csv)").click()
        with page.expect_download() as download:  # a link could not send the key
            visitor.by_role("button", "Save valid.csv").click()
        assert download.value.suggested_filename == "hers-valid.csv"
        content = Path(download.value.path()).read_bytes()
        assert (content.splitlines()[0], content.count(b"\n")) == (HEAD.strip().encode(), 296)
        other = visitor.open_tab()
        other.goto(service.url + "/")
        expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        page.get_by_label("API key").fill(NEW_KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
        visitor.check()
        log = (service.logs / "api.log").read_text()
        assert "/app/jobs/" in log
        for secret in (KEY, "wrong-key"):
            assert secret not in log
            assert not [url for url in visitor.urls if secret in url]
        assert page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"


def test_page_goes_on_by_itself_after_the_api_was_killed_and_without_redis(servers: Servers, browser: Browser, tmp_path: Path) -> None:
    """What changed while it was away is shown once; the API that comes back has no Redis at all."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": new_database(servers.database_url),
        "REDIS_URL": servers.redis_url,
        "UPLOAD_DIR": str(tmp_path),
        "MIN_FREE_DISK_BYTES": "0",
    }
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=environment, check=True, timeout=60)
    url = f"http://127.0.0.1:{port}"

    def start(**changes: str) -> Child:
        child = Child(command("api", {**environment, **changes}, "uvicorn", "main:app", *HTTP_OPTIONS, "--port", str(port)), log_file=tmp_path / "api.log")
        assert wait_until(lambda: is_alive(url), timeout_s=60)
        return child

    first = start()
    api = Api(port, tmp_path, httpx.Client(base_url=url), first.pid, environment["DATABASE_URL"].replace("+asyncpg", ""))
    job_id = upload(url, "one.csv", b"a\n1\n")
    second: Child | None = None
    try:
        with visiting(browser, url) as visitor, visiting(browser, url) as watcher:
            visitor.visit(f"/app/jobs/{job_id}")
            watcher.visit("/")
            expect(visitor.page.locator(".status")).to_have_text("Waiting")
            expect(watcher.page.locator(".list tbody tr")).to_have_count(1)
            os.kill(first.pid, signal.SIGKILL)
            for each in (visitor, watcher):
                expect(each.page.locator(".away")).to_be_visible()
                each.check()
            execute(
                api.database_url,
                "UPDATE jobs SET status = 'PROCESSING', attempt = 1, rows_processed = 7, updated_at = clock_timestamp() WHERE id = $1",
                uuid.UUID(job_id),
            )
            first.stop()
            second = start(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
            for each in (visitor, watcher):
                expect(each.page.locator(".away")).to_have_count(0, timeout=20_000)
                expect(each.page.locator(".status")).to_have_text("Being checked")
            new = upload(url, "two.csv", b"a\n1\n")
            expect(watcher.page.locator(".list tbody tr")).to_have_count(2)
            started = time.monotonic()
            execute(
                api.database_url, "UPDATE jobs SET status = 'CANCELLED', completed_at = now(), updated_at = clock_timestamp() WHERE id = $1", uuid.UUID(job_id)
            )
            expect(visitor.page.locator(".status")).to_have_text("Cancelled")
            expect(watcher.page.locator(f"tr:has(a[href$='{job_id}']) .status")).to_have_text("Cancelled")
            assert time.monotonic() - started < 5
            expect(watcher.page.locator(f"tr:has(a[href$='{new}']) .status")).to_have_text("Waiting")
    finally:
        for child in filter(None, (first, second)):
            child.stop()
        api.client.close()


def is_alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/health/live").is_success
    except httpx.TransportError:
        return False
