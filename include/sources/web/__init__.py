"""Asking over HTTP: one request, its bounds and retries, what an answer means, and JSON that keeps its digits."""
