-- The people of connectors of the kind `local` whose passwords menshen itself keeps.
CREATE TABLE menshen_local_person (
    connector           text COLLATE "C" NOT NULL,
    -- The login in lower case.
    subject             text COLLATE "C" NOT NULL,
    login               text NOT NULL,
    password_hash       text NOT NULL,
    -- Names the password: the provider_sid of the sessions to which it led.
    credential          text NOT NULL,
    -- The further fields: a JSON object.
    fields              text NOT NULL,
    disabled            boolean NOT NULL,
    must_change         boolean NOT NULL,
    created_at          bigint NOT NULL,
    changed_at          bigint NOT NULL,
    password_changed_at bigint NOT NULL,
    -- Random. Chooses whose hash is computed for an unknown login.
    place               bigint NOT NULL,
    -- Random. Another one after each change.
    revision            bigint NOT NULL,
    PRIMARY KEY (connector, subject)
);

CREATE INDEX menshen_local_person_place ON menshen_local_person (connector, place);
