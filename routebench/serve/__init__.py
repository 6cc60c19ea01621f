"""The server: a trained router behind OpenAI's chat completions."""
