"""`personaroute`: users with preferences of their own ask the same queries."""
