-- More than the undo is rehearsed.

alter table ml.drill add column kind text not null default 'rollback' check (kind in ('rollback', 'reproduce', 'features'));
alter table ml.drill alter column kind drop default, drop constraint drill_pkey,
    add primary key (pipeline, kind, drilled_at);
comment on table ml.drill is 'Rehearsals of what has to work on the day it is needed';
comment on column ml.drill.kind is 'rollback: what an undo would bring back answers as when it was registered; reproduce: the champion is trained again alike; features: those of the newest rows are built again alike';
comment on column ml.drill.model_version is 'Version that was rehearsed with';
comment on column ml.drill.status is 'identical, different, unloadable (it could not be done) or unknown (there was nothing to compare with)';
comment on column ml.drill.seconds is 'How long it took, s';
