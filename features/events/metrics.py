"""Metrics of the events slice."""

from __future__ import annotations

from shared.observing.metrics import Counter, Gauge

STREAMS = Gauge("rowgate_event_streams", "Open event streams", multiprocess_mode="livesum")
STREAMS_ENDED = Counter("rowgate_event_streams_fallen_behind", "Event streams that were ended because their client reads too slowly")
