"""Ask live models a suite's questions: calls, limits, budget."""
