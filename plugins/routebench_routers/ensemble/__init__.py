"""The `ensemble` router: several simple predictors, averaged or stacked."""
