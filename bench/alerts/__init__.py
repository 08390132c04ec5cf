"""The alerts benchmark: events against the truth, and what rules and streams cost."""
