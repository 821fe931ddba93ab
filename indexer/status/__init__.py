"""What the indexer and the cluster say of the delivery, and what users did."""
