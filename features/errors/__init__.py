"""The row errors of a job: pages, exact counts, and their removal in batches.

Writes: `error_pieces` and `jobs` (deletes, through `shared.db.purge`). Runs: `errors.purge_job`, `errors.purge_due`. Events: none.
"""
