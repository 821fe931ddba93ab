"""Reaching Elasticsearch: the client, TLS, credentials, what the server can do, the alias and its indices."""
