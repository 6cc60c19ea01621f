"""Jobs, one per router, seed and fold: their inputs, execution and results."""
