"""Reads and checks a file, records its errors, shows the schema of a job, and makes its outputs.

Writes: `error_pieces` (inserts), `jobs`, `outputs` and `submitter_turns` (through `shared.jobs.job_state` and `output_state`). Runs:
`processing.process_job`, `processing.make_output`. Events out: `JobFinished`, `OutputsReady`.
`readers/` and `checks/` are pure: they do not depend on the web, the database or Celery; `python -m features.processing FILE` runs them alone.
"""

from features.processing.tuning import tune_libraries

# This must run before anything imports Arrow, whose allocator reads its settings when it is loaded.
tune_libraries()
