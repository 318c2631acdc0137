"""Sets of keys over a whole file, for `unique` and for primary, unique and foreign keys: exact, in bounded memory."""
