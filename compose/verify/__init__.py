"""The proof of the containers: one module for each subject, each with a function `prove_…`; `__main__` runs them in order."""
