"""Base classes and tools for router plugins: predicted quality, confidence, words, state."""
