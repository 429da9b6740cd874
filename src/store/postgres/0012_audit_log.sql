-- The audit trail: lines of the log, kept for searches. Each index ends with the order of a list.
CREATE TABLE menshen_audit_line (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Given by the process that wrote the line: a line that is sent twice is stored once.
    id           bytea NOT NULL UNIQUE CHECK (length(id) = 16),
    at           bigint NOT NULL,
    event        text COLLATE "C" NOT NULL,
    connector    text COLLATE "C",
    login_folded text COLLATE "C",
    account      text COLLATE "C",
    -- The line: a JSON object.
    json         text NOT NULL
);

CREATE INDEX menshen_audit_line_at ON menshen_audit_line (at, number);
CREATE INDEX menshen_audit_line_event ON menshen_audit_line (event, at, number);
CREATE INDEX menshen_audit_line_connector ON menshen_audit_line (connector, at, number)
    WHERE connector IS NOT NULL;
CREATE INDEX menshen_audit_line_login ON menshen_audit_line (login_folded, at, number)
    WHERE login_folded IS NOT NULL;
CREATE INDEX menshen_audit_line_account ON menshen_audit_line (account, at, number)
    WHERE account IS NOT NULL;
