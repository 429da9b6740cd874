-- What providers handed out with a session, sealed by the house's keys; gone with the session.
CREATE TABLE session_tokens (
    session_key BLOB PRIMARY KEY REFERENCES session (key) ON DELETE CASCADE,
    version     INTEGER NOT NULL,
    sealed      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
