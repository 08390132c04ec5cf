"""Lookout beside other servers of the same checkpoint: ``python -m bench.engine``."""
