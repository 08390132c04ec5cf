"""Values, protocols, settings and errors that cross a package boundary.

Knows the standard library, numpy and pydantic; no other package of Lookout.
"""
