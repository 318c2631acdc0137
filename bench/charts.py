"""Charts for the page, described as data: the module that draws them (`bench.run_chart`) runs in the peers' environment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.measure import ROOT, Plan, run_json
from bench.peers import prepare_peers


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series of points."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    is_joined: bool = True
    """Whether a line joins the points; otherwise they are drawn as dots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart; its labels name their units."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]] = ()
    """Positions and labels of the marks on the x axis; if empty, the numbers themselves."""
    has_log_x: bool = False
    has_log_y: bool = False
    limit: tuple[float, str] | None = None
    """A height to draw as a limit line, and its name."""


def draw_chart(plan: Plan, name: str, chart: Chart) -> tuple[str, str]:
    """Draw `bench/NAME.png`; return the file name and title that a `Section` needs to link it."""
    description = plan.data / "charts" / f"{name}.json"
    description.parent.mkdir(parents=True, exist_ok=True)
    description.write_text(json.dumps(asdict(chart)))
    picture = ROOT / "bench" / f"{name}.png"
    run_json("bench.run_chart", str(description), str(picture), python=prepare_peers())
    return picture.name, chart.title
