"""Accept uploads: each one is a multipart stream written to disk, one inserted row and one message.

Writes: `jobs` (inserts). Runs: `upload.sweep_files`. Sends: `processing.process_job`. Events: none.
"""
