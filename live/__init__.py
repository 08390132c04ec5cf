"""Cameras to events: capture, look-back, rules, events and their delivery.

Knows ``contracts`` only; threads, sources and clocks come in as arguments.
"""
