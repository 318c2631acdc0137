"""Are the parts alive: database, Redis, and the whole chain from the schedule to a worker.

Writes: no table (a heartbeat in Redis). Runs: `health.beat`, `health.answer_beat`. Events: none.
"""
