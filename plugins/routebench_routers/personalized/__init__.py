"""The `personalized` router: a graph network over users, queries, tasks and models."""
