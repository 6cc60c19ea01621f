"""`multiple-choice`: the option that an answer settles on."""
