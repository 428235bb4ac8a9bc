-- +goose Up
-- Closing a stream for good. What closes it is an event, of the type $closed: the gate lets nothing follow it, whoever
-- writes, and a copy of the events is as closed as they are. It costs an append a look at a column of the row that it
-- reads anyway.
-- Locks: none at install. At run time those of an append.
-- +goose StatementBegin

CREATE FUNCTION eventstream.close_stream(
    p_stream_id text,
    p_reason text,
    p_expected bigint DEFAULT -2,
    p_tenant_id text DEFAULT NULL,
    OUT version bigint,
    OUT is_new boolean
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_type text;
BEGIN
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'text that says why: it stays on record');
    END IF;
    PERFORM eventstream.lock_stream(p_stream_id);
    SELECT e.version, e.type INTO version, v_type
    FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1;
    -- Whoever closes twice means the same.
    is_new := v_type IS DISTINCT FROM '$closed';
    IF is_new THEN
        version := eventstream.append(
            p_stream_id, '$closed', jsonb_build_object('reason', p_reason), p_expected, p_tenant_id => p_tenant_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.close_stream IS
    'Closes a stream for good by an event of the type $closed. Returns its version, and whether it is new: a stream '
    'that is closed already stays as it is. p_expected: as for append(); a stream that has events, by default.';

REVOKE EXECUTE ON FUNCTION eventstream.close_stream FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.close_stream;
