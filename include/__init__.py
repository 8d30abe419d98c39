"""The work of Ciclo, importable and testable without Airflow."""
