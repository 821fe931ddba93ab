"""Log files in, entries with their ids out; nothing here knows Elasticsearch."""
