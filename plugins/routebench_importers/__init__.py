"""Importers: one module per public format of other projects."""
