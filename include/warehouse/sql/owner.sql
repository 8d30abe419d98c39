-- After each migration: what the migrating login has made belongs to the role owner, of which it is a member.
do $$
declare made record;
begin
    if not exists (select from pg_roles where rolname = 'owner') or not pg_has_role(current_user, 'owner', 'set') then
        return;
    end if;
    for made in
        select 'schema' as kind, quote_ident(nspname) as name from pg_namespace
        where nspowner = current_user::regrole and nspname in ('raw', 'core', 'feature', 'ml', 'ops', 'mart')
        union all
        select case relkind when 'v' then 'view' else 'table' end, c.oid::regclass::text
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where relkind in ('r', 'v') and relowner = current_user::regrole
            and (nspname in ('raw', 'core', 'feature', 'ml', 'ops', 'mart')
                or relname = 'schema_version' and has_schema_privilege('owner', n.oid, 'create'))
        union all
        select 'function', p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = pronamespace
        where proowner = current_user::regrole and nspname in ('raw', 'core', 'feature', 'ml', 'ops', 'mart')
    loop
        execute format('alter %s %s owner to owner', made.kind, made.name);
    end loop;
end $$;
