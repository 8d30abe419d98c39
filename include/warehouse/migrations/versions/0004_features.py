"""Tables of features, and what of them is due."""

from include.warehouse.migrate import run, run_file

revision = "0004"
down_revision = "0003"
upgrade = run_file("0004_features.sql")
downgrade = run("drop view feature.target", "drop table feature.row, feature.set cascade")
