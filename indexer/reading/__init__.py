"""Reads log files: bytes → lines → entries with ids. Knows no Elasticsearch and no settings."""
