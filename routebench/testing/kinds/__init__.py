"""The promises of suites, judges, providers and encoders, as checks of one plugin class."""
