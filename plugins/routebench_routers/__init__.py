"""The routers that come with RouteBench, a file or a folder each."""
