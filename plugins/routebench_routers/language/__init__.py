"""What the routers on a language model share: base models, tuning, engines."""
