"""Code about jobs that every slice may use: their state changes, their files, their error counts, and how clients see a job."""
