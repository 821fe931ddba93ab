"""Pictures over the index: what Kibana is given. Reads nothing of the log, writes nothing to Elasticsearch."""
