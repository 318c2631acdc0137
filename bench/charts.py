"""Pictures beside the page, described as data: who draws them (`bench.run_chart`) lives in the peers' environment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.measure import ROOT, Plan, run_json
from bench.peers import prepare_peers


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points that belong together."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    is_joined: bool = True
    """Whether a line goes through the points; else they are dots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One picture; its labels name their units."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]] = ()
    """Where the x axis is marked and with what; none: the numbers themselves."""
    has_log_x: bool = False
    has_log_y: bool = False
    limit: tuple[float, str] | None = None
    """A height that is drawn as a border, and its name."""


def draw_chart(plan: Plan, name: str, chart: Chart) -> tuple[str, str]:
    """Draw `bench/NAME.png`; what a Section needs to link it."""
    description = plan.data / "charts" / f"{name}.json"
    description.parent.mkdir(parents=True, exist_ok=True)
    description.write_text(json.dumps(asdict(chart)))
    picture = ROOT / "bench" / f"{name}.png"
    run_json("bench.run_chart", str(description), str(picture), python=prepare_peers())
    return picture.name, chart.title
