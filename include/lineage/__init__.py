"""Where each column comes from, told by events of the OpenLineage standard: from the payload to the prediction."""
