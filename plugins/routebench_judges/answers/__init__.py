"""How judges read answers: words, numbers, units, dates, refusals, final answers."""
