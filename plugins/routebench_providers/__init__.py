"""The providers that come with RouteBench, a folder each."""
