-- Every window closes with a status, also when a task failed.

create table ops.window_status (
    window_status_id bigint generated always as identity primary key,
    pipeline text not null,
    window_start_at timestamptz not null,
    window_end_at timestamptz not null,
    status text not null check (status in ('loaded', 'unchanged', 'empty', 'blocked', 'overdue')),
    reason text not null,
    dag_id text not null,
    run_id text not null,
    closed_at timestamptz not null default clock_timestamp()
);
create index window_status_by_window on ops.window_status (pipeline, window_end_at, window_start_at);
comment on table ops.window_status is 'How each run closed its window; append only';
comment on column ops.window_status.window_status_id is 'Number of the row';
comment on column ops.window_status.pipeline is 'Pipeline';
comment on column ops.window_status.window_start_at is 'Start of the window, UTC, included';
comment on column ops.window_status.window_end_at is 'End of the window, UTC, excluded';
comment on column ops.window_status.status is 'loaded; unchanged: nothing was new; empty: the main source had no rows; blocked: its contract was broken, or a task failed; overdue: a source did not answer';
comment on column ops.window_status.reason is 'Why, in words';
comment on column ops.window_status.dag_id is 'DAG that closed it';
comment on column ops.window_status.run_id is 'DAG run that closed it';
comment on column ops.window_status.closed_at is 'When, UTC';

insert into ops.window_status (pipeline, window_start_at, window_end_at, status, reason, dag_id, run_id, closed_at)
select pipeline, window_start_at, window_end_at, 'loaded', received_count || ' rows received', dag_id, run_id, loaded_at
from ops.run order by loaded_at;

create view mart.window_status as
select distinct on (pipeline, window_start_at, window_end_at)
    pipeline, window_start_at, window_end_at, status, reason, closed_at
from ops.window_status order by pipeline, window_start_at, window_end_at, window_status_id desc;
comment on view mart.window_status is 'How each window stands: the status it was closed with last';
comment on column mart.window_status.pipeline is 'Pipeline';
comment on column mart.window_status.window_start_at is 'Start of the window, UTC, included';
comment on column mart.window_status.window_end_at is 'End of the window, UTC, excluded';
comment on column mart.window_status.status is 'loaded; unchanged: nothing was new; empty: the main source had no rows; blocked: its contract was broken, or a task failed; overdue: a source did not answer';
comment on column mart.window_status.reason is 'Why, in words';
comment on column mart.window_status.closed_at is 'When, UTC';
