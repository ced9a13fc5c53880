"""How kernel systems are solved: direct, by Cholesky factor, or iteratively."""
