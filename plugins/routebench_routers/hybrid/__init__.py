"""The `hybrid-*` routers: a network predicts which queries a small model answers well enough."""
