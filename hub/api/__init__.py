"""JSON over HTTP: the status pages, the kept deliveries, captures."""
