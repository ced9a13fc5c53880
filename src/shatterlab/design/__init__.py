"""How an experiment is declared: trials, scales, claims with their verdicts, factors."""
