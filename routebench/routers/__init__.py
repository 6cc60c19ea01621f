"""What router plugins build on: predicted quality, confidence, word features, saved state."""
