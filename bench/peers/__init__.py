"""Other programs that serve the same checkpoints, each in a virtual environment of its own."""
