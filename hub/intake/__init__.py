"""A request becomes a delivery, its operations, and its answer."""
