/** The version of our tables and functions. The store refuses to work with a newer one. */
export const postgresVersion = 1

/** The longest id that is stored as it is, in bytes; a longer one is stored as its hash. An index refuses entries of more than 2,704 bytes. */
export const longestId = 1_000

const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/**
 * The SQL that creates what the store needs, for your own migration: a schema with one table and two functions. You may run it again. If the store's
 * database user may not create schemas, run it as a user who may, and grant the store's user `USAGE` on the schema, `SELECT`, `INSERT`, `UPDATE` and
 * `DELETE` on its table and `EXECUTE` on its functions.
 *
 * @param schema the same as in the store's options
 */
export function postgresSchema(schema = 'storelock'): string {
  const s = identifier(schema)
  return `CREATE SCHEMA IF NOT EXISTS ${s};
CREATE TABLE IF NOT EXISTS ${s}.lock_rows (
  id text COLLATE "C" PRIMARY KEY,
  version text NOT NULL,
  body text NOT NULL,
  -- The whole id, if the column id holds its hash.
  name text COLLATE "C",
  -- Only for sessions: when the session expires, in ms since 1970.
  expires_at double precision,
  -- Only for records: whether the lock is held, waited for or pinned, and as JSON the session and the first and last token of each holder.
  busy boolean,
  holders text
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS lock_rows_expires_at ON ${s}.lock_rows (expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO ${s}.lock_rows (id, version, body) VALUES
  ('floor', '', '0'), ('version', '', '${postgresVersion}'), ('secret', '', gen_random_uuid()::text)
  ON CONFLICT DO NOTHING;

-- Writes rows unless a row that was seen has changed. It never waits for a lock: a row that is locked right now counts as changed.
-- It loops by index, because to unnest arrays this small takes longer than the writes.
-- how: 0 read, 1 write, 2 write once no open transaction has checked the lock, 3 delete. Returns the time in ms, or NULL if nothing was written.
CREATE OR REPLACE FUNCTION ${s}.lock_commit(
  ids text[], seen text[], how int[], bodies text[], names text[], expiries double precision[], busies boolean[], holders text[], new_version text, until double precision
) RETURNS double precision LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  missing boolean := false;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'storelock needs the isolation level READ COMMITTED, not %, for its own statements: set default_transaction_isolation for its user', current_setting('transaction_isolation');
  END IF;
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'local', true);
  END IF;
  IF until < extract(epoch FROM clock_timestamp()) * 1000 THEN
    RETURN NULL;
  END IF;
  FOR i IN 1 .. cardinality(ids) LOOP
    IF seen[i] IS NULL THEN
      -- No other transaction may insert this row now, or rely on its absence if we insert it.
      missing := true;
      IF how[i] = 0 THEN
        IF NOT pg_try_advisory_xact_lock_shared(1937010795, hashtext('${schema.replaceAll("'", "''")}' || ids[i]) & 255) THEN
          RETURN NULL;
        END IF;
      ELSIF NOT pg_try_advisory_xact_lock(1937010795, hashtext('${schema.replaceAll("'", "''")}' || ids[i]) & 255) THEN
        RETURN NULL;
      END IF;
      CONTINUE;
    ELSIF how[i] = 0 THEN
      PERFORM FROM ${s}.lock_rows r WHERE r.id = ids[i] AND r.version = seen[i] FOR SHARE SKIP LOCKED;
    ELSIF how[i] = 1 THEN
      PERFORM FROM ${s}.lock_rows r WHERE r.id = ids[i] AND r.version = seen[i] FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
      PERFORM FROM ${s}.lock_rows r WHERE r.id = ids[i] AND r.version = seen[i] FOR UPDATE SKIP LOCKED;
    END IF;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
  END LOOP;
  -- A separate statement, because it sees what was committed before we got the locks.
  IF missing AND EXISTS (SELECT FROM unnest(ids, seen) AS u (id, version) JOIN ${s}.lock_rows r ON r.id = u.id WHERE u.version IS NULL) THEN
    RETURN NULL;
  END IF;
  FOR i IN 1 .. cardinality(ids) LOOP
    IF how[i] = 3 THEN
      DELETE FROM ${s}.lock_rows r WHERE r.id = ids[i];
    ELSIF how[i] > 0 AND seen[i] IS NULL THEN
      INSERT INTO ${s}.lock_rows (id, version, body, name, expires_at, busy, holders)
        VALUES (ids[i], new_version, bodies[i], names[i], expiries[i], busies[i], holders[i]);
    ELSIF how[i] > 0 THEN
      UPDATE ${s}.lock_rows r SET version = new_version, body = bodies[i], expires_at = expiries[i], busy = busies[i], holders = lock_commit.holders[i]
        WHERE r.id = ids[i];
    END IF;
  END LOOP;
  RETURN extract(epoch FROM clock_timestamp()) * 1000;
END $$;

-- Makes a transaction fail unless the lock is held, and keeps other sessions from being granted it until the transaction ends.
CREATE OR REPLACE FUNCTION ${s}.lock_check(record_id text, session_id text, session text, token bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM FROM ${s}.lock_rows r
    WHERE r.id = record_id
      AND EXISTS (SELECT FROM ${s}.lock_rows WHERE id = session_id)
      AND EXISTS (
        SELECT FROM json_array_elements(r.holders::json) h WHERE h ->> 0 = session AND token BETWEEN (h ->> 1)::bigint AND (h ->> 2)::bigint
      )
    FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lock is not held any more: token % of session %', token, session USING ERRCODE = 'STL01';
  END IF;
END $$;
`
}
