"""Delimited text as it really comes: encodings, separators, decimal commas, archives; read in blocks."""
