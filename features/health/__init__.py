"""Report whether the parts are alive: the database, Redis, and the whole chain from the schedule to a worker; also serves `/metrics`.

Writes: no table (a heartbeat in Redis). Runs: `health.beat`, `health.answer_beat`. Sends: `health.answer_beat`. Events: none.
"""
