"""Tables as files: CSV, XLSX, JSON Lines, a page at a time."""
