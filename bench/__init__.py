"""Measurements against peers, each a command."""
