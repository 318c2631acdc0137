"""Measure how long the answer takes after the last byte of an upload, and the whole upload, for various sizes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from bench.charts import Chart, Line, draw_chart
from bench.measure import Plan, percentile, say
from bench.report import Section, at_most, describe_run
from bench.run_load import Load
from bench.stack import Stack, running_stack
from bench.upload_files import make_upload, name_size, run_load

UPLOADS = {1_000: 60, 100_000: 60, 1_000_000: 40, 10_000_000: 20, 100_000_000: 4, 500_000_000: 2}
"""Number of uploads of each size (in bytes), for each of the plan's times."""
BATCH_BYTES, MAX_BATCH = 100_000_000, 100
"""Bytes and uploads sent before the uploaded files are removed."""
LEAST_FOR_P99 = 100
MAX_ANSWER_S = 0.5
FULL_BUFFERS_BYTES = 10_000_000
"""From this size on an upload fills every buffer on its way: those of the sockets, two batches, and the 8 MiB between two write-backs."""
MAX_GROWTH = 2.0


@dataclass
class _Size:
    """Seconds of each upload of one size."""

    size_bytes: int
    walls: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)

    @property
    def worst(self) -> float:
        """The 99th percentile of the answers; the slowest if there are only a few."""
        return percentile(self.answers, 0.99) if len(self.answers) >= LEAST_FOR_P99 else max(self.answers)

    @property
    def median(self) -> float:
        return statistics.median(self.answers)


def measure_answers(plan: Plan) -> Section:
    """Send one upload at a time to one API process."""
    sizes: list[_Size] = []
    with running_stack(plan) as stack:
        for usual_bytes, count in UPLOADS.items():
            sizes.append(_measure_size(stack, plan, round(usual_bytes * plan.rows / Plan.rows), count * plan.times))
    largest, full = sizes[-1], next((size for size in sizes if size.size_bytes >= FULL_BUFFERS_BYTES), sizes[-1])
    growth = at_most(
        f"Median answer after {name_size(largest.size_bytes)} compared with that after {name_size(full.size_bytes)}", largest.median / full.median, MAX_GROWTH
    )
    return Section(
        title="The answer after the last byte",
        about=(
            "One client, one upload after another over a kept connection, one uvicorn process; the answer is sent when file, folder and job are durable."
            f" The p99 is given if there were at least {LEAST_FOR_P99} uploads, otherwise the slowest."
            f" Growth is judged from {name_size(full.size_bytes)} on: a smaller file leaves buffers on the way empty and the disk less to do, so its answer"
            f" has less to wait for; from there a file {largest.size_bytes / full.size_bytes:g} times as large may not take more than {MAX_GROWTH:g} times"
            " as long (medians, because the slowest answers depend on the disk)."
        ),
        headings=("Upload", "Uploads", "Whole upload, median s", "MB/s", "Answer after the last byte: median ms", "p99 or slowest, ms"),
        rows=[_describe(size) for size in sizes],
        verdicts=[
            at_most("Answer after the last byte, p99 or slowest, of any size", max(size.worst for size in sizes) * 1000, MAX_ANSWER_S * 1000, " ms"),
            growth,
        ],
        conditions=describe_run("counting every upload except the first of each size"),
        figures=[draw_chart(plan, "answer-over-size", _make_chart(sizes))],
    )


def _measure_size(stack: Stack, plan: Plan, size_bytes: int, count: int) -> _Size:
    say(f"{count} uploads of {name_size(size_bytes)}")
    file, url, size = str(make_upload(plan, size_bytes)), f"{stack.url}/api/files/upload", _Size(size_bytes)
    run_load(url, Load(clients=1, file=file))
    stack.remove_uploads()
    while len(size.walls) < count:
        batch = max(1, min(count - len(size.walls), MAX_BATCH, BATCH_BYTES // size_bytes))
        facts = run_load(url, Load(clients=1, file=file, requests=batch))
        size.walls += facts["walls_s"]
        size.answers += facts["after_last_byte_s"]
        stack.remove_uploads()
    return size


def _describe(size: _Size) -> list[str]:
    wall_s = statistics.median(size.walls)
    which = "p99" if len(size.answers) >= LEAST_FOR_P99 else "slowest"
    speed = f"{size.size_bytes / wall_s / 1e6:,.3g}"
    return [name_size(size.size_bytes), f"{len(size.walls)}", f"{wall_s:.3f}", speed, f"{size.median * 1000:.1f}", f"{size.worst * 1000:.0f} ({which})"]


def _make_chart(sizes: list[_Size]) -> Chart:
    x = [size.size_bytes / 1e6 for size in sizes]
    return Chart(
        title="Uploads by size",
        x_label="size of the file",
        y_label="ms",
        lines=[
            Line(label="whole upload, median", x=x, y=[statistics.median(size.walls) * 1000 for size in sizes]),
            Line(label="answer after the last byte,\np99 or slowest", x=x, y=[size.worst * 1000 for size in sizes]),
            Line(label="answer after the last byte,\nmedian", x=x, y=[size.median * 1000 for size in sizes]),
        ],
        x_ticks=[(size.size_bytes / 1e6, name_size(size.size_bytes)) for size in sizes],
        has_log_x=True,
        has_log_y=True,
        limit=(MAX_ANSWER_S * 1000, "limit of the answer"),
    )
