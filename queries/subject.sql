-- name: SubjectKeyGet :many
-- The key of a subject, if it has one that was not forgotten.
SELECT k.key_id::uuid AS key_id, k.wrapped_key::bytea AS wrapped_key
FROM eventstream.subject_keys AS k
WHERE k.subject = @subject::text
    AND NOT EXISTS (SELECT FROM eventstream.forgotten_subjects AS f WHERE f.key_id = k.key_id);

-- name: SubjectKeyList :many
-- What became of keys: whose each is, or that it was forgotten. No row for one that is neither.
SELECT
    i.key_id::uuid AS key_id,
    coalesce(k.subject, f.subject)::text AS subject,
    k.wrapped_key::bytea AS wrapped_key,
    (f.key_id IS NOT NULL)::boolean AS forgotten
FROM unnest(@key_ids::uuid[]) AS i (key_id)
LEFT JOIN eventstream.subject_keys AS k ON k.key_id = i.key_id
LEFT JOIN eventstream.forgotten_subjects AS f ON f.key_id = i.key_id
WHERE k.key_id IS NOT NULL OR f.key_id IS NOT NULL;

-- name: SubjectKeyPage :many
-- All keys, in order of their ids.
SELECT k.key_id::uuid AS key_id, k.subject::text AS subject, k.wrapped_key::bytea AS wrapped_key
FROM eventstream.subject_keys AS k
WHERE k.key_id > @after::uuid
ORDER BY k.key_id
LIMIT @page_size::integer;

-- name: CreateSubjectKey :one
SELECT c.key_id::uuid AS key_id, c.wrapped_key::bytea AS wrapped_key
FROM eventstream.create_subject_key(@subject::text, @key_id::uuid, @wrapped_key::bytea, @again::boolean) AS c;

-- name: ForgetSubject :one
SELECT
    f.key_id::uuid AS key_id,
    f.subject::text AS subject,
    f.forgotten_at::timestamptz AS forgotten_at,
    f.forgotten_by::text AS forgotten_by,
    f.reason::text AS reason
FROM eventstream.forget_subject(@subject::text, @reason::text, nullif(@forgotten_by::text, '')) AS f;

-- name: ForgottenSubjectPage :many
-- What was forgotten, in order of the keys' ids.
SELECT
    f.key_id::uuid AS key_id,
    f.subject::text AS subject,
    f.forgotten_at::timestamptz AS forgotten_at,
    f.forgotten_by::text AS forgotten_by,
    f.reason::text AS reason
FROM eventstream.forgotten_subjects AS f
WHERE f.key_id > @after::uuid
ORDER BY f.key_id
LIMIT @page_size::integer;

-- name: ReplayForgotten :one
SELECT eventstream.replay_forgotten(
    @key_ids::uuid[], @subjects::text[], @forgotten_at::timestamptz[], @forgotten_by::text[], @reasons::text[])::bigint AS deleted;

-- name: RewrapSubjectKey :one
SELECT eventstream.rewrap_subject_key(@key_id::uuid, @old_wrapped_key::bytea, @new_wrapped_key::bytea)::boolean AS replaced;
