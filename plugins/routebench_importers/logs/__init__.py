"""Readers of logs of requests, one module per system."""
