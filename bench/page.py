"""Measure the page in Chromium on a job of a million rows with 300,000 errors: until it can be used, until any error is reached, and its memory."""

from __future__ import annotations

import json
import os
import random
import time

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from bench.files import TABLE_SCHEMA, make_csv
from bench.measure import Plan, RunFailed, percentile, say
from bench.report import Section, at_most, describe_conditions
from bench.stack import running_stack
from compose.browser import find_browser

BAD_SHARE = 0.03
VISITS, STEPS = 5, 40
MAX_USABLE_MS, MAX_REACHED_MS, MAX_HEAP_MB = 1000, 300, 100
TIMEOUT_S = 300.0


def measure_page(plan: Plan) -> Section:
    """Measure all of it with one job. Raises `RunFailed` if there is no browser."""
    found = find_browser()
    if found is None:
        raise RunFailed("The page is measured in Chromium, and there is none here (Debian: apt-get install chromium).")
    file = make_csv(plan.data, rows=plan.rows, bad_share=BAD_SHARE, keep_truth=False)
    with running_stack(plan, api_processes=4, MIN_FREE_DISK_BYTES="0") as stack, sync_playwright() as playwright:
        stack.start_worker()
        say("page: the job")
        job_id, run = stack.run_job(file.path, table_schema=json.dumps(TABLE_SCHEMA))
        _make_rows_ready(stack.url, job_id)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        say("page: visits")
        _visit(browser, f"{stack.url}/app/jobs/{job_id}")  # what browser and service do once is not the page's
        usable = [_visit(browser, f"{stack.url}/app/jobs/{job_id}") for _ in range(VISITS)]
        say("page: errors")
        page = browser.new_page()
        page.goto(f"{stack.url}/app/jobs/{job_id}")
        page.wait_for_selector("tr.current")
        by_page, by_row, heap_mb = _reach(page, run.errors, plan.rows)
        browser.close()
    figures = {
        "until the first error stands in its rows": usable,
        "until a page of errors is there, with its first in its rows": by_page,
        "until a row is there": by_row,
    }
    rows = [[what, f"{percentile(walls, 0.5) * 1000:.0f} ms", f"{max(walls) * 1000:.0f} ms", str(len(walls))] for what, walls in figures.items()]
    return Section(
        title="The page",
        about=(
            f"Chromium without a window, on a job of {plan.rows:,} rows with {run.errors:,} errors, from 4 API processes on the same two"
            " cores. A visit begins with an empty cache of a browser that runs already. Pages and rows are chosen at random. The heap is JavaScript's,"
            " looked at after every step."
        ),
        headings=("What", "Median", "Longest", "Times"),
        rows=rows,
        verdicts=[
            at_most("Longest time until the page can be used", max(usable) * 1000, MAX_USABLE_MS, " ms"),
            at_most("Longest time until any error is reached", max(*by_page, *by_row) * 1000, MAX_REACHED_MS, " ms"),
            at_most("Largest heap of the page", heap_mb, MAX_HEAP_MB, " MB"),
        ],
        conditions=describe_conditions(times=VISITS, rows=plan.rows),
    )


def _make_rows_ready(url: str, job_id: str) -> None:
    begun = time.monotonic()
    while httpx.get(f"{url}/api/jobs/{job_id}/rows?from_row=1", timeout=60).status_code != httpx.codes.OK:
        if time.monotonic() - begun > TIMEOUT_S:
            raise RunFailed("The rows were not made ready in time.")
        time.sleep(0.3)


def _visit(browser: Browser, url: str) -> float:
    context = browser.new_context()
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("tr.current")
    taken = time.perf_counter() - begun
    context.close()
    return taken


def _reach(page: Page, errors: int, rows: int) -> tuple[list[float], list[float], float]:
    """Go to random pages and rows; return how long each took, and the largest heap, in MB."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    by_page, by_row, heap = [], [], 0.0
    pages = -(-errors // 25)
    chosen = random.Random(21)
    for _ in range(STEPS):
        number = chosen.randint(1, pages)
        by_page.append(_time(page, "Page", number, f"Errors {(number - 1) * 25 + 1:,} to", "ol.errors tr.current"))
        row = chosen.randint(2, rows)
        by_row.append(_time(page, "Go to row", row, f"Rows around row {row:,}", f".go + .context tr.current:has(th:text-matches('^{row:,}'))"))
        metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
        heap = max(heap, metrics["JSHeapUsedSize"] / 1e6)
        page.get_by_role("button", name="Close", exact=True).click()
    return by_page, by_row, heap


def _time(page: Page, label: str, number: int, heading: str, selector: str) -> float:
    field = page.get_by_role("textbox", name=label, exact=True)
    field.fill(str(number))
    begun = time.perf_counter()
    field.press("Enter")
    page.get_by_role("heading", name=heading).wait_for()
    page.wait_for_selector(f"{selector}")
    return time.perf_counter() - begun
