"""Measure pages of a job with very many errors, and of very many jobs: near and deep, with and without filters."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from bench.many_rows import COMMON_COLUMN, COMMON_TYPE, RARE_COLUMN, RARE_TYPE, fill_errors, fill_jobs
from bench.measure import Plan, percentile, run_json, say
from bench.report import Section, at_most, describe_run
from bench.stack import Stack, running_stack

PAGE_SIZE, DEEP_PAGE = 50, 10_000
ERROR_ROUNDS, JOB_ROUNDS = 20, 3
"""How many times each page is read, for each of the plan's times."""
MAX_DEEP = 1.5
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, BY_CURSOR = "Errors, page 1", "Errors, page {page:,} by cursor"


def measure_pages(plan: Plan) -> Section:
    """Read one page after another with one client from one API process."""
    deep_page = max(2, round(DEEP_PAGE * plan.rows / Plan.rows))
    with running_stack(plan) as stack:
        say(f"a job with {plan.rows:,} errors")
        job_id = fill_errors(stack, errors=plan.rows)
        errors = _read_pages(stack, plan, _list_error_pages(stack, f"/api/jobs/{job_id}/errors", deep_page), ERROR_ROUNDS * plan.times)
        say(f"{plan.rows:,} jobs")
        fill_jobs(stack, jobs=plan.rows)
        jobs = _read_pages(stack, plan, _list_job_pages(plan.rows, deep_page), JOB_ROUNDS * plan.times)
    by_cursor = BY_CURSOR.format(page=deep_page)
    near, deep = (statistics.median(errors[name]["walls_s"]) for name in (FIRST, by_cursor))
    return Section(
        title="Pages",
        about=(
            f"Pages of {PAGE_SIZE}, read one after another over one connection from one API process. A job with {plan.rows:,} stored errors in ten columns,"
            f" 0.1% of them of another type and column ({RARE_TYPE}, {RARE_COLUMN}); then also {plan.rows:,} jobs, 98% of them COMPLETED."
            " Both tables are vacuumed and analyzed. A page of jobs includes the exact total of its filter."
        ),
        headings=("Page", "Median ms", "p99 or slowest of few, ms", "Status"),
        rows=[
            [name, f"{statistics.median(each['walls_s']) * 1000:.1f}", f"{percentile(each['walls_s'], 0.99) * 1000:.1f}", str(each["status"])]
            for name, each in {**errors, **jobs}.items()
        ],
        verdicts=[at_most(f"{by_cursor} compared with page 1", deep / near, MAX_DEEP)],
        conditions=describe_run(f"each page of errors {ERROR_ROUNDS * plan.times} times, each page of jobs {JOB_ROUNDS * plan.times} times, in turn"),
    )


def _read_pages(stack: Stack, plan: Plan, paths: Mapping[str, str], times: int) -> Mapping[str, Any]:
    file = plan.data / "pages.json"
    file.write_text(json.dumps(paths))
    return run_json("bench.run_gets", stack.url, str(file), str(times))


def _list_error_pages(stack: Stack, path: str, deep_page: int) -> Mapping[str, str]:
    before = httpx.get(stack.url + _make_query(path, page=deep_page - 1), timeout=60).raise_for_status().json()
    return {
        FIRST: _make_query(path),
        BY_CURSOR.format(page=deep_page): _make_query(path, cursor=before["next_cursor"]),
        f"Errors, page {deep_page:,} by number": _make_query(path, page=deep_page),
        f"Errors, last page, {before['total_pages']:,}, by number": _make_query(path, page=before["total_pages"]),
        f"Errors, {COMMON_TYPE}, page 1": _make_query(path, error_type=COMMON_TYPE),
        f"Errors, {COMMON_TYPE}, page {deep_page:,} by number": _make_query(path, error_type=COMMON_TYPE, page=deep_page),
        f"Errors, {COMMON_COLUMN}, page 1": _make_query(path, column_name=COMMON_COLUMN),
        f"Errors, {COMMON_COLUMN}, page {deep_page // 10:,} by number": _make_query(path, column_name=COMMON_COLUMN, page=deep_page // 10),
        f"Errors, {RARE_TYPE}, page 1": _make_query(path, error_type=RARE_TYPE),
        f"Errors, {RARE_TYPE} and {RARE_COLUMN}, page 10 by number": _make_query(path, error_type=RARE_TYPE, column_name=RARE_COLUMN, page=10),
        "Errors, a type that no error has": _make_query(path, error_type="no-error"),
    }


def _list_job_pages(jobs: int, deep_page: int) -> Mapping[str, str]:
    path = "/api/jobs"
    middle = FIRST_DAY + timedelta(seconds=10) * (jobs // 2)
    day = f"{middle:%Y-%m-%d}"
    return {
        "Jobs, page 1": _make_query(path),
        f"Jobs, page {deep_page:,}": _make_query(path, page=deep_page),
        **{f"Jobs, {status}, page 1": _make_query(path, status=status) for status in ("COMPLETED", "FAILED", "CANCELLED", "QUEUED", "PROCESSING")},
        f"Jobs, COMPLETED, page {deep_page:,}": _make_query(path, status="COMPLETED", page=deep_page),
        f"Jobs, FAILED, page {deep_page // 100 or 1:,}": _make_query(path, status="FAILED", page=deep_page // 100 or 1),
        "Jobs, newer half (from_date), page 1": _make_query(path, from_date=day),
        "Jobs, older half (to_date), page 1": _make_query(path, to_date=day),
        "Jobs, one day (from_date and to_date), page 1": _make_query(path, from_date=day, to_date=day),
        "Jobs, FAILED on one day, page 1": _make_query(path, status="FAILED", from_date=day, to_date=day),
    }


def _make_query(path: str, **parameters: object) -> str:
    return f"{path}?{urlencode({'page_size': PAGE_SIZE, **parameters})}"
