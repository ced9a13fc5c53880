"""Learners: each turns a training sample into a scoring function."""
