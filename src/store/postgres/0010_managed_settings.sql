-- The versions of the managed settings: connectors and choices that API and console change.
CREATE TABLE menshen_managed_version (
    number   bigint PRIMARY KEY,
    made_at  bigint NOT NULL,
    author   text NOT NULL,
    -- api, console or command.
    means    text NOT NULL,
    -- The names of the changed fields: a JSON array.
    fields   text NOT NULL,
    -- The settings: a JSON object; its secrets are sealed.
    document text NOT NULL
);
