"""Store the errors of a job: pack them into pieces, write the pieces, and commit them together with the progress."""
