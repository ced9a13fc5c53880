"""The results database: one SQLite file."""
