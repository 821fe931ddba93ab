"""Comparing what was read with what Elasticsearch holds, byte for byte."""
