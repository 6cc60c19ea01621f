"""Text encoders: fitted in a job, or run once beforehand and cached."""
