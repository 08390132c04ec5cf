"""Bytes to frames: fetching, sniffing, sampling, and decoding in processes of their own.

``media.reader`` is what others use. What touches a stranger's bytes with a codec (``media.images``,
``media.container``, ``media.index``, ``media.decode``, ``media.clips``) runs in a child of
``media.picture_server`` or ``media.clip_server`` only, never in the service's own process.
"""
