"""Make files of a checked table for people and programs to take away: good rows, bad rows, the whole table with its errors, the errors themselves."""
