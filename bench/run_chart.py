"""Draw one `bench.charts.Chart`, in the peers' environment: `python -m bench.run_chart DESCRIPTION PICTURE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure  # type: ignore[import-not-found]  # lives in the peers' environment
from matplotlib.ticker import FuncFormatter, NullFormatter  # type: ignore[import-not-found]  # as above

INCHES, DOTS_PER_INCH = (9, 4.5), 90


def draw(chart: dict[str, Any], picture: Path) -> None:
    """Draw the chart and write it as a PNG."""
    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    for line in chart["lines"]:
        style = {"marker": "o", "markersize": 4} if line["is_joined"] else {"marker": ".", "markersize": 3, "linestyle": "none"}
        axes.plot(line["x"], line["y"], label=line["label"], **style)
    if chart["limit"] is not None:
        height, name = chart["limit"]
        axes.axhline(height, color="grey", linestyle="--", linewidth=1, label=name)
    axes.set_xscale("log" if chart["has_log_x"] else "linear")
    axes.set_yscale("log" if chart["has_log_y"] else "linear")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    if chart["x_ticks"]:
        axes.set_xticks(*zip(*chart["x_ticks"], strict=True))
    axes.set(title=chart["title"], xlabel=chart["x_label"], ylabel=chart["y_label"])
    axes.grid(visible=True, alpha=0.3)
    axes.legend(markerscale=2, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    figure.savefig(picture)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
    json.dump({}, sys.stdout)
