"""Intervals follow the truth: the state of each version's, and for each prediction which one it has."""

from include.warehouse.migrate import run, run_file

revision = "0018"
down_revision = "0017"
upgrade = run_file("0018_intervals.sql")
downgrade = run("alter table ml.prediction drop column interval_as_of", "drop table ml.interval")
