-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.save_snapshot(p_stream_id text, p_name text, p_version bigint, p_event_id uuid, p_schema_version integer, p_state bytea)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_digest bytea := sha256(p_state);
    v_is record;
BEGIN
    PERFORM eventstream.refuse_snapshot(p_name, p_schema_version, p_state);
    LOOP
        IF NOT eventstream.snapshot_holds(p_stream_id, p_version, p_event_id) THEN
            RETURN 'contradicted';
        END IF;
        INSERT INTO eventstream.snapshots (stream_id, name, version, event_id, schema_version, digest, state)
        VALUES (p_stream_id, p_name, p_version, p_event_id, p_schema_version, v_digest, p_state)
        -- There is one, which is judged below.
        ON CONFLICT ON CONSTRAINT snapshots_pkey DO NOTHING;
        IF FOUND THEN
            RETURN 'saved';
        END IF;
        -- Two writers take turns. Whether the other's snapshot holds is asked by a statement of its own, after this one:
        -- it sees the event that the lock may have waited for, where this one's snapshot of the database may be too old.
        SELECT s.version, s.event_id, s.schema_version INTO v_is
        FROM eventstream.snapshots AS s WHERE s.stream_id = p_stream_id AND s.name = p_name FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND; -- It was deleted in between.
        -- At one version the newer form stays, or code of two releases would overwrite each other's all the time.
        IF (v_is.version, v_is.schema_version) > (p_version, p_schema_version)
            AND eventstream.snapshot_holds(p_stream_id, v_is.version, v_is.event_id) THEN
            RETURN 'older';
        END IF;
        UPDATE eventstream.snapshots AS s
        SET version = p_version, event_id = p_event_id, schema_version = p_schema_version, digest = v_digest, state = p_state,
            created_at = clock_timestamp()
        WHERE s.stream_id = p_stream_id AND s.name = p_name;
        RETURN 'saved';
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION eventstream.save_snapshot(text,text,bigint,uuid,integer,bytea) IS 'Keeps the state of a stream at one of its events, in place of an older one, of one at the same version, and of one that is of another history. Returns saved; older if a newer one is there, or one of a newer schema version at the same version of the stream; contradicted if the stream has no such event at that version.';

REVOKE ALL ON FUNCTION eventstream.save_snapshot(text,text,bigint,uuid,integer,bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.save_snapshot(text,text,bigint,uuid,integer,bytea) TO eventstream_writer;
