"""Backups that were made, and rehearsals of restoring them."""

from include.warehouse.migrate import run, run_file

revision = "0026"
down_revision = "0024"
upgrade = run_file("0026_backup.sql")
downgrade = run("drop table ops.backup, ops.drill")
