"""The results database: one SQLite file to which rows are only added."""
