"""Roles with the least they need: owner, etl, serving, analyst."""

from include.warehouse.migrate import run, run_file

revision = "0031"
down_revision = "0029"
# What belongs to etl goes back to whoever migrates, and with it what was granted to others there.
_BACK = """
do $$
begin
    if exists (select from pg_roles where rolname = 'etl') then
        if pg_has_role(current_user, 'etl', 'set') then
            alter default privileges for role etl in schema core, feature revoke select on tables from serving;
            alter default privileges for role etl in schema mart revoke select on tables from analyst;
        end if;
        execute format('revoke all on database %I from etl', current_database());
        revoke all on schema raw, core, feature, ml, ops, mart from etl;
        revoke all on all tables in schema raw, ml, ops, mart from etl;
        revoke all on feature.set, feature.target, feature.vector from etl;
        revoke execute on function ops.label(bigint, double precision, text) from etl;
    end if;
end $$
"""
_FUNCTIONS = (
    "ops.flag(text, timestamptz, timestamptz, text, text), ops.flag(text, timestamptz, text, text),"
    " ops.unflag(bigint, text), ops.label(bigint, double precision, text)"
)
upgrade = run_file("0031_roles.sql")
downgrade = run(
    _BACK,
    f"grant execute on function {_FUNCTIONS} to public",
    "alter function ml.chain_decision() security invoker reset search_path",
)
