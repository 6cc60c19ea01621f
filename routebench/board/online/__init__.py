"""The board's part on an online run: rows of regret, and the table that they are made from."""
