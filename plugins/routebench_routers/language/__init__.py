"""Code shared by the routers on a language model: base models, tuning, engines."""
