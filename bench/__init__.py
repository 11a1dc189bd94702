"""Figures: each module brings its own stack and prints a table; `twingraph bench NAME` runs one."""
