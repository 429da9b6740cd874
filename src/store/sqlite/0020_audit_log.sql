-- The audit trail: lines of the log, kept for searches. Each index ends with the order of a list.
CREATE TABLE menshen_audit_line (
    number       INTEGER PRIMARY KEY,
    -- Given by the process that wrote the line: a line that is sent twice is stored once.
    id           BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at           INTEGER NOT NULL,
    event        TEXT NOT NULL,
    connector    TEXT,
    login_folded TEXT,
    account      TEXT,
    -- The line: a JSON object.
    json         TEXT NOT NULL
) STRICT;

CREATE INDEX menshen_audit_line_at ON menshen_audit_line (at, number);
CREATE INDEX menshen_audit_line_event ON menshen_audit_line (event, at, number);
CREATE INDEX menshen_audit_line_connector ON menshen_audit_line (connector, at, number)
    WHERE connector IS NOT NULL;
CREATE INDEX menshen_audit_line_login ON menshen_audit_line (login_folded, at, number)
    WHERE login_folded IS NOT NULL;
CREATE INDEX menshen_audit_line_account ON menshen_audit_line (account, at, number)
    WHERE account IS NOT NULL;
