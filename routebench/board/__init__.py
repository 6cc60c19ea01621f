"""The leaderboard and its run folder: assembled from jobs, written and read back."""
