"""How much of files as people send them is read right, beside other tools; each part is a module of its own."""

from __future__ import annotations

from bench.measure import Plan
from bench.reading_columns import measure_columns
from bench.reading_dialects import measure_dialects
from bench.reading_encodings import measure_encodings
from bench.reading_part import HEADINGS
from bench.report import Section, describe_run

PARTS = (measure_encodings, measure_dialects, measure_columns)


def measure_reading(plan: Plan) -> Section:
    """Measure all parts."""
    parts = [measure(plan) for measure in PARTS]
    return Section(
        title="Reading: what is found in files as people send them",
        about="Shares of files of which the right thing was found. An encoding is right if it gives the same text as the true one. "
        "The short tables have 3 to 40 rows of places, names and occupations, with words on which the rules were not tried.",
        headings=HEADINGS,
        rows=[row for part in parts for row in part.rows],
        verdicts=[verdict for part in parts for verdict in part.verdicts],
        conditions=describe_run("each file once"),
        peers=list(dict.fromkeys(peer for part in parts for peer in part.peers)),
    )
