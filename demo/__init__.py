"""The demo model: the world it knows, its training, its report and the checkpoint itself."""
