"""What starts an ingest beside the clock: reports from a database, a queue or whoever calls Airflow's API."""
