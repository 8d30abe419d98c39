"""What each task of a DAG does: thin edges that join the rooms, one module a verb, as in ``dags/``."""
