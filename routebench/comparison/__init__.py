"""Compare two runs and decide PASS, REGRESSION, INVALID or INCONCLUSIVE."""
