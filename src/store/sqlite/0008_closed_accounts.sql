-- When an account was closed, by whom and why; all absent while it is open.
ALTER TABLE account ADD COLUMN closed_at INTEGER;
ALTER TABLE account ADD COLUMN closed_by TEXT;
ALTER TABLE account ADD COLUMN closed_reason TEXT;

-- Identities of closed accounts that their source no longer has. Their subject may belong to another
-- person later, so a login does not find them; reopening the account restores them.
CREATE TABLE former_identity (
    account            BLOB NOT NULL REFERENCES account (id),
    connector          TEXT NOT NULL,
    subject            TEXT NOT NULL,
    names              INTEGER NOT NULL CHECK (names IN (0, 1)),
    entitlements       TEXT NOT NULL,
    entitlements_epoch INTEGER NOT NULL,
    used_at            INTEGER NOT NULL,
    gone_at            INTEGER NOT NULL,
    PRIMARY KEY (account, connector, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX former_identity_subject ON former_identity (connector, subject);

-- What happened to an account, when, and who did it.
CREATE TABLE account_change (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    account BLOB NOT NULL REFERENCES account (id),
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
CREATE INDEX account_change_account ON account_change (account, number);
CREATE INDEX account_change_at ON account_change (at);
