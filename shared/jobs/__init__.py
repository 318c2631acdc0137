"""What every slice may know about jobs: their state changes, their files, and how a job looks to a client."""
