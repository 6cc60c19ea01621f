"""`simpleqa-grader`: a language model grades short answers in three states."""
