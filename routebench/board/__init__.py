"""The leaderboard and its run folder: put together from jobs, written, read back."""
