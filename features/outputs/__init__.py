"""What people and programs can take away of a job: files with its good rows, its bad rows, or its errors; and its rows in context.

Writes: `outputs` (inserts; through `shared.jobs.output_state`). Runs: `outputs.take_back`, `outputs.ring_again`, `outputs.apply_retention`,
`outputs.sweep_files`. Sends: `processing.make_output`. Events in: `JobFinished`. Events out: `OutputsReady` (an output that crashed its workers too often).
"""
