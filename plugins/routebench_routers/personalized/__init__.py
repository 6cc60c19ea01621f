"""`personalized`: a graph network over users, queries, tasks and models."""
