"""Serves pictures as RTSP: one encoder for all who watch, none when nobody does."""
