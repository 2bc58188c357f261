"""The OpenAI Realtime codec."""
