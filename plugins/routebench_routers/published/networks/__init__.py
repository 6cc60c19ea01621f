"""Published routers whose weights are learned by gradient descent."""
