"""The suites that come with RouteBench."""
