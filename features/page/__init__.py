"""The page for people: one HTML shell, and the scripts and styles that it loads. Everything that it does, it does through the API.

Writes: nothing. Runs: nothing. Events: none. `PAGE=false` turns it off.
"""
