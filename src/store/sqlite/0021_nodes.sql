-- The running processes that share the database, as each describes itself.
CREATE TABLE menshen_node (
    -- Random, of one process.
    id               TEXT PRIMARY KEY,
    -- The name of its machine.
    name             TEXT NOT NULL,
    program_version  TEXT NOT NULL,
    -- The version of the managed settings that it serves.
    settings_version INTEGER NOT NULL,
    -- Why it does not serve the newest version.
    problem          TEXT,
    started_at       INTEGER NOT NULL,
    seen_at          INTEGER NOT NULL
) STRICT;
