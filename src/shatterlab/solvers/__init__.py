"""How kernel systems are solved: direct, by a Cholesky factor, or iteratively, by conjugate gradients. No parts."""
