"""The lake: what sources sent, kept byte for byte under its own hash, and the batches made of it."""
