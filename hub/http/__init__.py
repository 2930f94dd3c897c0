"""HTTP: the Bottle application, the adapter that batches requests, and the server."""
