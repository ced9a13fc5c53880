"""Studies of a user's own model: audit, capacity, ledger, significance."""
