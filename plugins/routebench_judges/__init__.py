"""The judges that come with RouteBench, a folder each."""
