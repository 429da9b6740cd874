-- The versions of the managed settings: connectors and choices that API and console change.
CREATE TABLE menshen_managed_version (
    number   INTEGER PRIMARY KEY,
    made_at  INTEGER NOT NULL,
    author   TEXT NOT NULL,
    -- api, console or command.
    means    TEXT NOT NULL,
    -- The names of the changed fields: a JSON array.
    fields   TEXT NOT NULL,
    -- The settings: a JSON object; its secrets are sealed.
    document TEXT NOT NULL
) STRICT;
