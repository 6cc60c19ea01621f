"""`numeric`: the final number of an answer against the reference's."""
