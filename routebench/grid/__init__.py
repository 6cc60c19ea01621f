"""Many suites at once: their runs, and the routers' ranks over all boards."""
