"""One router, one seed, one fold: what a job is given, how it runs, what is kept."""
