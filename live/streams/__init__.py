"""Captured cameras by id: their look-back, their states, and what is kept of them."""
