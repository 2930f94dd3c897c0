"""From the bytes of a request to a payload that satisfies its source's schema."""
