"""A finished run in the forms that other projects read."""
