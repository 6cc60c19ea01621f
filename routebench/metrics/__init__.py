"""Metrics, their intervals and tests, computed on choices and outcomes alone."""
