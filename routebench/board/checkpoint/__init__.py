"""A checkpoint that stands alone: a router's state, and all that is needed to route with it."""
