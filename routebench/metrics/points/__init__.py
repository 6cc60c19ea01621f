"""Operating points: trade-offs chosen on validation, frozen, and judged on test."""
