"""
Makes no DAG. A pipeline.yaml that cannot be loaded shows here as an import error in Airflow's web UI,
with file, line, field and fix, while every other pipeline's DAGs go on.
"""

from include.spec.load import load_all

load_all()
