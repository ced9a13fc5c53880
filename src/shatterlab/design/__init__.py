"""How an experiment is declared: trials, claims, factors."""
