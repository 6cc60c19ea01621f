"""Outcomes and queries: read from files, aligned, split, fingerprinted."""
