"""Tell clients of every change of a job as it happens, over server-sent events.

Writes: `deleted_jobs` (inserted by a trigger; old rows are deleted). Runs: `events.forget_deleted`. Events: none; changes are read from the database.
"""
