"""Files of logs: their records, values and rewards, read into the table of events."""
