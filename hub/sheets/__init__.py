"""Files of others, read: tables and calendars become rows with the members that the hub knows."""
