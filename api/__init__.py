"""HTTP: routes, bodies, dialects and event streams.

Knows ``contracts``, FastAPI and Starlette; the runner and the media reader come as arguments.
"""
