"""What other systems are told of the loop: metrics for Prometheus, lineage for OpenLineage."""
