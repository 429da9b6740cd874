-- Local administrators of the console.
CREATE TABLE menshen_administrator (
    -- In lower case.
    name                text COLLATE "C" NOT NULL PRIMARY KEY,
    password_hash       text NOT NULL,
    -- Random. Names the password: another one after each change.
    credential          text NOT NULL,
    created_at          bigint NOT NULL,
    password_changed_at bigint NOT NULL
);

-- Sessions of the console. Either `administrator` and `credential` are set, or `session` is not empty.
CREATE TABLE menshen_console_session (
    -- SHA-256 of the cookie.
    key           bytea NOT NULL PRIMARY KEY,
    administrator text COLLATE "C",
    credential    text,
    -- The key of the session with which a person entered; empty for a local administrator.
    session       bytea NOT NULL,
    began_at      bigint NOT NULL,
    used_at       bigint NOT NULL,
    expires_at    bigint NOT NULL
);

CREATE INDEX menshen_console_session_administrator ON menshen_console_session (administrator);
CREATE INDEX menshen_console_session_expires ON menshen_console_session (expires_at);
