"""Put a trained router to work: train it, keep it in a folder of its own, route with it."""
