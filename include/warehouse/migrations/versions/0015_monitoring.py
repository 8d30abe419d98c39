"""Every figure of a window is a row with its status; what a decision is made from is kept."""

from include.warehouse.migrate import run, run_file

revision = "0015"
down_revision = "0014"
DRIFT = """
create table ml.drift_before (
    pipeline text not null, window_start_at timestamptz not null, window_end_at timestamptz not null,
    model_version integer not null, feature text not null, row_count bigint not null, reference_mean double precision,
    mean double precision, shift_pct double precision, threshold_pct double precision not null,
    is_breached boolean not null, measured_at timestamptz not null default now(), run_id text not null)
"""
PERFORMANCE = """
create table ml.performance_before (
    pipeline text not null, window_start_at timestamptz not null, window_end_at timestamptz not null,
    model_version integer not null, row_count bigint not null, r2 double precision, rmse double precision not null,
    mae double precision not null, coverage double precision not null, measured_at timestamptz not null default now(),
    run_id text not null)
"""
KEY = "(pipeline, window_start_at, window_end_at, model_version, run_id"
OLD_DRIFT = (
    "insert into ml.drift_before select pipeline, window_start_at, window_end_at, model_version, subject, row_count,"
    " null, null, value, coalesce(threshold, 0), status = 'breach', measured_at, run_id"
    " from ml.drift where statistic = 'mean_shift_pct' and slice = ''"
)
OLD_PERFORMANCE = (
    "insert into ml.performance_before select pipeline, window_start_at, window_end_at, model_version, max(row_count),"
    " max(value) filter (where statistic = 'r2'), max(value) filter (where statistic = 'rmse'),"
    " max(value) filter (where statistic = 'mae'), coalesce(max(value) filter (where statistic = 'coverage'), 0),"
    " max(measured_at), run_id from ml.performance where kind = 'error' and slice = ''"
    " group by pipeline, window_start_at, window_end_at, model_version, run_id"
    " having bool_or(statistic = 'mae' and value is not null)"
)
upgrade = run_file("0015_monitoring.sql")
downgrade = run(
    "drop table ml.look",
    *(DRIFT, OLD_DRIFT, "drop table ml.drift", "alter table ml.drift_before rename to drift"),
    f"alter table ml.drift add constraint drift_pkey primary key {KEY}, feature)",
    *(PERFORMANCE, OLD_PERFORMANCE, "drop table ml.performance"),
    "alter table ml.performance_before rename to performance",
    f"alter table ml.performance add constraint performance_pkey primary key {KEY})",
)
