"""Parts of a run that are made apart, and their merge into the whole."""
