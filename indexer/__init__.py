"""Sends each entry of a Zoomdata activity log, unchanged and exactly once, to one Elasticsearch index."""

__version__ = "0.1.0"
