"""A real Elasticsearch and a sample log, for trying the indexer and for its tests."""
