"""Read answers: words, numbers, units, dates, refusals and final statements."""
