"""A gate's result for terminals and CI systems."""
