"""Studies of a model of the user's own: audit, capacity, ledger."""
