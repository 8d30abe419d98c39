-- Who may do what. owner owns the schemas and migrates; etl is what the DAGs are: it loads and decides, and owns the
-- tables it makes at run time; serving answers requests; analyst reads mart. Roles are the server's, and made before
-- (include/local/roles.py); where one is missing and may not be made here, nothing is granted to it.

do $$
declare name text;
begin
    foreach name in array array['owner', 'etl', 'serving', 'analyst'] loop
        if not exists (select from pg_roles where rolname = name) then
            begin
                execute format('create role %I nologin', name);
            exception
                when duplicate_object or unique_violation then null;  -- another database's migration was quicker
                when insufficient_privilege then raise notice 'the role % is not there and this user may not create it', name;
            end;
        end if;
    end loop;
    begin
        grant etl to owner;  -- what views of mart show is etl's
    exception
        when undefined_object or insufficient_privilege then raise notice 'owner is no member of etl, whose tables mart shows: grant etl to owner';
    end;
end $$;

-- A decision is chained by the database, whoever writes it: nobody else writes the end of the chain.
alter function ml.chain_decision() security definer set search_path = pg_catalog, pg_temp;

-- What these do is done with their owner's rights: not for everybody who sees the schema.
revoke execute on function ops.flag(text, timestamptz, timestamptz, text, text), ops.flag(text, timestamptz, text, text),
    ops.unflag(bigint, text), ops.label(bigint, double precision, text) from public;

do $$
declare made record;
begin
    if not exists (select from pg_roles where rolname = 'etl') then
        return;
    end if;
    execute format('grant connect, temporary on database %I to etl', current_database());
    grant usage on schema raw, core, feature, ml, ops, mart to etl;
    grant create on schema core, feature, mart to etl;
    grant select on all tables in schema raw, core, feature, ml, ops, mart to etl;
    revoke select on ops.token from etl;
    grant insert on raw.payload, ml.decision, ml.snapshot, ml.pruned, ops.run, ops.lineage, ops.window_status to etl;
    grant insert, update on ml.look, ops.watermark to etl;
    grant insert, delete on ml.profile, ml.drift, ml.performance, ml.drill, ml.interval to etl;
    grant insert, delete on ops.quality_result, ops.column_profile, ops.task_run, ops.drill to etl;
    grant insert, update, delete on ml.prediction, feature.set, ops.quality_score, ops.quarantine, ops.alert,
        ops.incident to etl;
    grant delete on ops.service_audit, ops.silence to etl;
    grant insert, update (answered_by) on ops.label_request to etl;
    grant execute on function ops.label(bigint, double precision, text) to etl;

    -- What the loads make is theirs: tables of sources and of features, and the views on them.
    if not pg_has_role(current_user, 'etl', 'set') then
        raise notice 'this user may not act as etl: tables that loads have made stay %''s', current_user;
        return;
    end if;
    for made in
        select case relkind when 'v' then 'view' else 'table' end as kind, oid::regclass::text as name from pg_class
        where relkind in ('r', 'v') and (relnamespace = 'core'::regnamespace
            or relnamespace = 'feature'::regnamespace and relname not in ('set', 'target', 'vector'))
        union all
        select 'function', oid::regprocedure::text from pg_proc where pronamespace = 'core'::regnamespace
    loop
        execute format('alter %s %s owner to etl', made.kind, made.name);
    end loop;
    if exists (select from pg_roles where rolname = 'serving') then
        alter default privileges for role etl in schema core, feature grant select on tables to serving;
    end if;
    if exists (select from pg_roles where rolname = 'analyst') then
        alter default privileges for role etl in schema mart grant select on tables to analyst;
    end if;
end $$;

do $$
begin
    if exists (select from pg_roles where rolname = 'analyst') then
        execute format('grant connect on database %I to analyst', current_database());
    end if;
end $$;
