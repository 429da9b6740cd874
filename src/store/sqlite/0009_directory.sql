-- The fields of a person, for the directory and its search. Folded forms are in lower case.
ALTER TABLE account ADD COLUMN name TEXT;
ALTER TABLE account ADD COLUMN name_folded TEXT;
ALTER TABLE account ADD COLUMN email TEXT;
ALTER TABLE account ADD COLUMN email_folded TEXT;
ALTER TABLE account ADD COLUMN mobile TEXT;
ALTER TABLE account ADD COLUMN seen_at INTEGER;
CREATE INDEX account_name ON account (name_folded);
CREATE INDEX account_email ON account (email_folded);
CREATE INDEX account_mobile ON account (mobile);

-- What an administrator vouched for; at most one value of a field.
CREATE TABLE account_vouched (
    account BLOB NOT NULL REFERENCES account (id),
    field   TEXT NOT NULL CHECK (field IN ('mobile', 'email')),
    value   TEXT NOT NULL,
    PRIMARY KEY (account, field)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_vouched_value ON account_vouched (field, value);

-- Where a person who has not signed in yet is expected from. Without a subject, the login name decides.
CREATE TABLE expected_identity (
    account   BLOB NOT NULL REFERENCES account (id),
    connector TEXT NOT NULL,
    subject   TEXT,
    PRIMARY KEY (account, connector)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX expected_identity_subject ON expected_identity (connector, subject)
    WHERE subject IS NOT NULL;

-- Departments of a connector. A parent may be missing, and parents may form a circle.
CREATE TABLE department (
    connector TEXT NOT NULL,
    id        TEXT NOT NULL,
    parent    TEXT,
    name      TEXT NOT NULL,
    PRIMARY KEY (connector, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX department_parent ON department (connector, parent);
CREATE INDEX department_name ON department (name);

-- The departments of an identity; a department need not be known.
CREATE TABLE membership (
    connector  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    department TEXT NOT NULL,
    leads      INTEGER NOT NULL CHECK (leads IN (0, 1)),
    PRIMARY KEY (connector, subject, department),
    FOREIGN KEY (connector, subject) REFERENCES identity (connector, subject) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX membership_department ON membership (connector, department);

CREATE TABLE tag (
    connector TEXT NOT NULL,
    subject   TEXT NOT NULL,
    tag       TEXT NOT NULL,
    PRIMARY KEY (connector, subject, tag),
    FOREIGN KEY (connector, subject) REFERENCES identity (connector, subject) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_tag ON tag (connector, tag);
