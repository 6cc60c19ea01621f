"""The encoders that come with RouteBench."""
