"""`gemini`: Google's models through google-genai."""
