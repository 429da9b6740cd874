-- The people of connectors of the kind `local` whose passwords menshen itself keeps.
CREATE TABLE menshen_local_person (
    connector           TEXT NOT NULL,
    -- The login in lower case.
    subject             TEXT NOT NULL,
    login               TEXT NOT NULL,
    password_hash       TEXT NOT NULL,
    -- Names the password: the provider_sid of the sessions to which it led.
    credential          TEXT NOT NULL,
    -- The further fields: a JSON object.
    fields              TEXT NOT NULL,
    disabled            INTEGER NOT NULL,
    must_change         INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    changed_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL,
    -- Random. Chooses whose hash is computed for an unknown login.
    place               INTEGER NOT NULL,
    -- Random. Another one after each change.
    revision            INTEGER NOT NULL,
    PRIMARY KEY (connector, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX menshen_local_person_place ON menshen_local_person (connector, place);
