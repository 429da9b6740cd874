-- Local administrators of the console.
CREATE TABLE menshen_administrator (
    -- In lower case.
    name                TEXT NOT NULL PRIMARY KEY,
    password_hash       TEXT NOT NULL,
    -- Random. Names the password: another one after each change.
    credential          TEXT NOT NULL,
    created_at          INTEGER NOT NULL,
    password_changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of the console. Either `administrator` and `credential` are set, or `session` is not empty.
CREATE TABLE menshen_console_session (
    -- SHA-256 of the cookie.
    key           BLOB NOT NULL PRIMARY KEY,
    administrator TEXT,
    credential    TEXT,
    -- The key of the session with which a person entered; empty for a local administrator.
    session       BLOB NOT NULL,
    began_at      INTEGER NOT NULL,
    used_at       INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX menshen_console_session_administrator ON menshen_console_session (administrator);
CREATE INDEX menshen_console_session_expires ON menshen_console_session (expires_at);
