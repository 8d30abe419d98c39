-- Backups that were made, and rehearsals of restoring them.

create table ops.backup (
    name text primary key,
    kind text not null check (kind in ('full', 'incremental')),
    folder text not null,
    ended_at timestamptz not null,
    seconds double precision not null,
    byte_count bigint not null,
    file_byte_count bigint not null
);
comment on table ops.backup is 'Backups that this installation made; what a folder really holds, ciclo restore --check tells';
comment on column ops.backup.name is 'Its folder below backups/; the time at which it was begun, UTC';
comment on column ops.backup.kind is 'full or incremental';
comment on column ops.backup.folder is 'Folder of the backups, as it was given to ciclo backup --to';
comment on column ops.backup.ended_at is 'From when on moments can be restored from it, UTC';
comment on column ops.backup.seconds is 'How long it took, s';
comment on column ops.backup.byte_count is 'Size of the base backup, without WAL and files, bytes';
comment on column ops.backup.file_byte_count is 'Size of the files that were new, bytes';

create table ops.drill (
    drilled_at timestamptz primary key default now(),
    backup_name text,
    status text not null check (status in ('passed', 'failed', 'unknown')),
    seconds double precision not null,
    reason text not null
);
comment on table ops.drill is 'Rehearsals of restoring the newest backup into a server of its own: ciclo restore --check, and the DAG backup';
comment on column ops.drill.drilled_at is 'When, UTC';
comment on column ops.drill.backup_name is 'Which backup; null where none could be chosen';
comment on column ops.drill.status is 'passed, failed, or unknown: nothing is wrong, but something could not be judged, or nothing could be tried';
comment on column ops.drill.seconds is 'How long restoring and comparing took, s';
comment on column ops.drill.reason is 'What was seen, in words';
