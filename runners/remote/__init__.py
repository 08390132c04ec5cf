"""Another server's model through OpenAI's chat API: what is sent, what comes back, how it stands.

Knows ``contracts``; no torch, no transformers: a small machine keeps the cameras, a big one the
model.
"""
