"""Importers of what evaluation harnesses and batch interfaces write."""
