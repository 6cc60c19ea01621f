"""Buying only what decides between two policies: the queries on which they differ (T3)."""
