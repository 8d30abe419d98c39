"""Corrections beside revisions."""

from include.warehouse.migrate import run, run_file

revision = "0008"
down_revision = "0007"
# What was misread was never told: without the column nobody could tell it from what was.
WITHOUT_CORRECTIONS = """
do $$
declare misread record;
begin
    for misread in select attrelid::regclass as table_name from pg_attribute
                   where attname = 'is_corrected' and attrelid::regclass::text like 'core.%'
    loop
        execute format('delete from %s where is_corrected', misread.table_name);
        execute format('alter table %s drop column is_corrected', misread.table_name);
    end loop;
    for misread in select pg_get_functiondef(oid) as definition from pg_proc
                   where pronamespace = 'core'::regnamespace and proname like '%\\_as\\_of'
    loop
        execute replace(misread.definition, ' and not is_corrected', '');
    end loop;
end $$
"""
upgrade = run_file("0008_corrections.sql")
downgrade = run(
    WITHOUT_CORRECTIONS,
    "drop index ops.lineage_by_window",
    "alter table ops.lineage drop column corrected_count, drop column withdrawn_count",
    "alter table ops.run drop column corrected_count, drop column withdrawn_count",
    "alter table ops.lineage drop column window_start_at, drop column window_end_at,"
    " drop column contract_sha256, drop column before_count, drop column after_count",
)
