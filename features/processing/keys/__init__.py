"""Sets of keys over a whole file, for `unique`, primary, unique and foreign keys: exact, in bounded memory."""
