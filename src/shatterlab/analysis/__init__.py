"""Rows in, numbers out: replicates, pairs, summaries, tests."""
