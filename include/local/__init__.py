"""The one-machine runtime: embedded Postgres and supervised processes."""
