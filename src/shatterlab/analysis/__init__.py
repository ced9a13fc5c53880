"""Rows in, numbers out: replicates, ratios, summaries, judging and the randomization test."""
