-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.matches_query(p_query jsonb, p_type text, p_tags jsonb)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN jsonb_path_exists(p_query, '$[*]?(@."types"[*] == $"type" && !(exists (@."tags"[*]?(!(@ == $"tags"[*])))) || (!(exists (@."types"[*])) && exists (@."tags"[*])) && !(exists (@."tags"[*]?(!(@ == $"tags"[*])))))'::jsonpath, jsonb_build_object('type', p_type, 'tags', p_tags), true);

COMMENT ON FUNCTION eventstream.matches_query(jsonb,text,jsonb) IS 'Whether an event of this type with these tags matches one of the alternatives of a query.';

GRANT EXECUTE ON FUNCTION eventstream.matches_query(jsonb,text,jsonb) TO PUBLIC;
