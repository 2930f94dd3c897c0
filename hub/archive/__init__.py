"""The kept deliveries: searched, attempted again, derived anew, emptied in time, forgotten."""
