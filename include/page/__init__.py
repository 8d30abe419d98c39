"""The Ciclo page inside Airflow's web UI: `data` reads, `views` decide what is shown, `templates` say it."""
