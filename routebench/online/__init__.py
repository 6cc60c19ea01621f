"""The online protocol: queries in order, one choice each, and only the chosen cell revealed."""
