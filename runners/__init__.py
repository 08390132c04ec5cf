"""Requests to tokens: what owns the device and the weights."""
