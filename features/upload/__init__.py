"""One multipart stream to disk, one row, one message.

Writes: `jobs` (inserts). Runs: `upload.sweep_files`. Sends: `processing.process_job`. Events: none.
"""
