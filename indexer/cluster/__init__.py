"""What is set up, asked and compared on the Elasticsearch side."""
