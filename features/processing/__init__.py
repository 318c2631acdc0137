"""Read, check, record; and the schema of a job.

Writes: `error_pieces` (inserts), `jobs` (through `shared.jobs.job_state`). Runs: `processing.process_job`. Events out: `JobFinished`.
`readers/` and `checks/` are pure: they know no web, no database, no Celery; `python -m features.processing FILE` runs them alone.
"""

from features.processing.tuning import tune_arrow

# Before anything imports Arrow: its allocator reads its settings when it is loaded.
tune_arrow()
