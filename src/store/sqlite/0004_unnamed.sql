-- A provider names a session and its person: logins under way that bring no session's name end, too.
CREATE TABLE mark (
    connector TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('session', 'subject', 'unnamed')),
    what      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (connector, kind, what)
) STRICT, WITHOUT ROWID;
INSERT INTO mark SELECT connector, kind, what, at, until FROM logout_mark;
DROP TABLE logout_mark;
ALTER TABLE mark RENAME TO logout_mark;
CREATE INDEX logout_mark_until ON logout_mark (until);
