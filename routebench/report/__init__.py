"""Boards and gates for people: terminal, web pages, Markdown, CI formats."""
