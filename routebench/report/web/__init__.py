"""HTML pages and figures that need no network."""
