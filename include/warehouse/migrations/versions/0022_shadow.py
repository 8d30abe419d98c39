"""A challenger in shadow, and what it predicted beside the champion."""

from include.warehouse.migrate import run, run_file

revision = "0022"
down_revision = "0021"
upgrade = run_file("0022_shadow.sql")
downgrade = run(
    "drop view mart.challenger_vs_champion",
    "drop view mart.challenger_in_shadow",
    "drop index ml.decision_on_shadow",
)
