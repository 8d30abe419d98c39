"""Pages for people, made from what the code says."""
