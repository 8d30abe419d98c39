"""What the page shows, out of what was read. Pure."""
