"""The status each window closed with."""

from include.warehouse.migrate import run, run_file

revision = "0005"
down_revision = "0004"
upgrade = run_file("0005_windows.sql")
downgrade = run("drop view mart.window_status", "drop table ops.window_status")
