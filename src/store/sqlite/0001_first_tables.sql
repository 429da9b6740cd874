-- What menshen keeps. Times are milliseconds since 1970-01-01T00:00:00Z, ids are their raw bytes.

-- "mens": tells our files from anybody else's.
PRAGMA application_id = 0x6d656e73;

-- The key ring, signer first.
CREATE TABLE key_ring (
    position INTEGER PRIMARY KEY,
    text     TEXT NOT NULL
) STRICT;

CREATE TABLE account (
    id              BLOB PRIMARY KEY CHECK (length(id) = 16),
    login           TEXT NOT NULL,
    login_folded    TEXT NOT NULL UNIQUE,
    epoch           INTEGER NOT NULL DEFAULT 0,
    epoch_raised_at INTEGER,
    closed          INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- names: whether the account's login follows this identity; the one that made the account does.
CREATE TABLE identity (
    connector          TEXT NOT NULL,
    subject            TEXT NOT NULL,
    account            BLOB NOT NULL REFERENCES account (id),
    names              INTEGER NOT NULL CHECK (names IN (0, 1)),
    entitlements       TEXT NOT NULL,
    entitlements_epoch INTEGER NOT NULL DEFAULT 0,
    used_at            INTEGER NOT NULL,
    PRIMARY KEY (connector, subject)
) STRICT;

CREATE INDEX identity_account ON identity (account);

-- What a source vouched for at the last login of an identity.
CREATE TABLE vouched (
    connector TEXT NOT NULL,
    subject   TEXT NOT NULL,
    field     TEXT NOT NULL CHECK (field IN ('mobile', 'email')),
    value     TEXT NOT NULL,
    PRIMARY KEY (connector, subject, field, value),
    FOREIGN KEY (connector, subject) REFERENCES identity (connector, subject) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX vouched_value ON vouched (field, value);

-- The numbers of everyone ("everyone") and of connectors ("connector:corp"); absent is zero.
CREATE TABLE epoch (
    name   TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A session stands as long as the three numbers it was minted under are the current ones.
CREATE TABLE session (
    key             BLOB PRIMARY KEY CHECK (length(key) = 32),
    public_id       BLOB NOT NULL UNIQUE CHECK (length(public_id) = 16),
    account         BLOB NOT NULL REFERENCES account (id),
    connector       TEXT NOT NULL,
    subject         TEXT NOT NULL,
    provider_sid    TEXT,
    facts           TEXT NOT NULL,
    minted_at       INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    used_at         INTEGER NOT NULL,
    account_epoch   INTEGER NOT NULL,
    connector_epoch INTEGER NOT NULL,
    everyone_epoch  INTEGER NOT NULL,
    FOREIGN KEY (connector, subject) REFERENCES identity (connector, subject)
) STRICT;

CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires_at ON session (expires_at);
CREATE INDEX session_used_at ON session (used_at);

-- The sessions nobody revoked, with what they stand on.
CREATE VIEW standing_session AS
SELECT s.key, s.public_id, s.account, s.connector, s.subject, s.provider_sid, s.facts,
       s.minted_at, s.expires_at, s.used_at,
       a.login, a.epoch, a.closed,
       i.entitlements, i.entitlements_epoch,
       s.connector_epoch, s.everyone_epoch
FROM session AS s
JOIN account AS a ON a.id = s.account AND a.epoch = s.account_epoch
JOIN identity AS i
  ON i.connector = s.connector AND i.subject = s.subject AND i.account = s.account
WHERE s.connector_epoch
      = coalesce((SELECT number FROM epoch WHERE name = 'connector:' || s.connector), 0)
  AND s.everyone_epoch = coalesce((SELECT number FROM epoch WHERE name = 'everyone'), 0);

-- AUTOINCREMENT: a number is never given twice. One writer at a time: commit order is number order.
CREATE TABLE revocation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL CHECK (kind IN ('session', 'account', 'connector', 'everyone')),
    what   BLOB NOT NULL,
    epoch  INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT;

-- What a provider ended while a login may have been under way.
CREATE TABLE logout_mark (
    connector TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('session', 'subject')),
    what      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (connector, kind, what)
) STRICT, WITHOUT ROWID;

CREATE INDEX logout_mark_until ON logout_mark (until);

CREATE TABLE spent (
    what  BLOB PRIMARY KEY CHECK (length(what) = 32),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_until ON spent (until);

CREATE TABLE lease (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
