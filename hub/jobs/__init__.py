"""What a hub does by itself, and with kept deliveries."""
