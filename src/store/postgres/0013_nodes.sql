-- The running processes that share the database, as each describes itself.
CREATE TABLE menshen_node (
    -- Random, of one process.
    id               text PRIMARY KEY,
    -- The name of its machine.
    name             text NOT NULL,
    program_version  text NOT NULL,
    -- The version of the managed settings that it serves.
    settings_version bigint NOT NULL,
    -- Why it does not serve the newest version.
    problem          text,
    started_at       bigint NOT NULL,
    seen_at          bigint NOT NULL
);
