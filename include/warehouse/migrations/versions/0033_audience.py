"""Who hears of a pipeline is remembered."""

from include.warehouse.migrate import run, run_file

revision = "0033"
down_revision = "0032"
upgrade = run_file("0033_audience.sql")
downgrade = run("drop table ops.audience")
