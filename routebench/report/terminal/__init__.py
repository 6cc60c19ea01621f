"""Tables for a terminal of 100 columns."""
