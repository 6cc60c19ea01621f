"""`hybrid-*`: a network tells which queries the small model of a pair can take."""
