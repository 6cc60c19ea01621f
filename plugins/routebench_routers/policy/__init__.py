"""The `policy` router: a language model predicts a policy per query, a mapper the model."""
