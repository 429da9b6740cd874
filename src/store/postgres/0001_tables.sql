-- The tables of menshen. Times are milliseconds since 1970-01-01T00:00:00Z, ids are their raw bytes.
-- Texts that are compared have the collation "C": equal means the same bytes on every server.

-- The key ring, signer first.
CREATE TABLE menshen_key_ring (
    position bigint PRIMARY KEY,
    text     text NOT NULL
);

CREATE TABLE menshen_account (
    id              bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    login           text COLLATE "C" NOT NULL,
    login_folded    text COLLATE "C" NOT NULL UNIQUE,
    epoch           bigint NOT NULL DEFAULT 0,
    epoch_raised_at bigint,
    closed          boolean NOT NULL DEFAULT FALSE,
    -- When the account was closed, by whom and why; all absent while it is open.
    closed_at       bigint,
    closed_by       text,
    closed_reason   text,
    created_at      bigint NOT NULL
);

-- names: whether the account's login follows this identity; true for the identity that made the account.
CREATE TABLE menshen_identity (
    connector          text COLLATE "C" NOT NULL,
    subject            text COLLATE "C" NOT NULL,
    account            bytea NOT NULL REFERENCES menshen_account (id),
    names              boolean NOT NULL,
    entitlements       text NOT NULL,
    entitlements_epoch bigint NOT NULL DEFAULT 0,
    used_at            bigint NOT NULL,
    PRIMARY KEY (connector, subject)
);

CREATE INDEX menshen_identity_account ON menshen_identity (account);

-- Identities of closed accounts that their source no longer has. Their subject may belong to another
-- person later, so a login does not find them; reopening the account restores them.
CREATE TABLE menshen_former_identity (
    account            bytea NOT NULL REFERENCES menshen_account (id),
    connector          text COLLATE "C" NOT NULL,
    subject            text COLLATE "C" NOT NULL,
    names              boolean NOT NULL,
    entitlements       text NOT NULL,
    entitlements_epoch bigint NOT NULL,
    used_at            bigint NOT NULL,
    gone_at            bigint NOT NULL,
    PRIMARY KEY (account, connector, subject)
);

CREATE INDEX menshen_former_identity_subject ON menshen_former_identity (connector, subject);

-- The history of accounts: what changed, when, and who changed it.
CREATE TABLE menshen_account_change (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account bytea NOT NULL REFERENCES menshen_account (id),
    at      bigint NOT NULL,
    actor   text NOT NULL,
    kind    text NOT NULL,
    detail  text NOT NULL
);

CREATE INDEX menshen_account_change_account ON menshen_account_change (account, number);
CREATE INDEX menshen_account_change_at ON menshen_account_change (at);

-- What a source vouched for at the last login of an identity.
CREATE TABLE menshen_vouched (
    connector text COLLATE "C" NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    field     text COLLATE "C" NOT NULL CHECK (field IN ('mobile', 'email')),
    value     text COLLATE "C" NOT NULL,
    PRIMARY KEY (connector, subject, field, value),
    FOREIGN KEY (connector, subject) REFERENCES menshen_identity (connector, subject) ON DELETE CASCADE
);

CREATE INDEX menshen_vouched_value ON menshen_vouched (field, value);

-- The epochs of everyone ("everyone") and of connectors ("connector:corp"); a missing row is epoch zero.
CREATE TABLE menshen_epoch (
    name      text COLLATE "C" PRIMARY KEY,
    number    bigint NOT NULL,
    raised_at bigint
);

-- A session counts as long as the three epochs under which it was minted are the current ones.
CREATE TABLE menshen_session (
    key             bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    public_id       bytea NOT NULL UNIQUE CHECK (octet_length(public_id) = 16),
    account         bytea NOT NULL REFERENCES menshen_account (id),
    connector       text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    provider_sid    text COLLATE "C",
    facts           text NOT NULL,
    minted_at       bigint NOT NULL,
    expires_at      bigint NOT NULL,
    used_at         bigint NOT NULL,
    account_epoch   bigint NOT NULL,
    connector_epoch bigint NOT NULL,
    everyone_epoch  bigint NOT NULL,
    FOREIGN KEY (connector, subject) REFERENCES menshen_identity (connector, subject)
)
-- used_at is written often: with room in each page its row is replaced there.
WITH (fillfactor = 80);

CREATE INDEX menshen_session_account ON menshen_session (account);
CREATE INDEX menshen_session_expires_at ON menshen_session (expires_at);
CREATE INDEX menshen_session_minted_at ON menshen_session (minted_at);
CREATE INDEX menshen_session_subject ON menshen_session (connector, subject);
CREATE INDEX menshen_session_provider_sid ON menshen_session (connector, provider_sid)
    WHERE provider_sid IS NOT NULL;

-- The sessions that nobody revoked, with their account and identity.
CREATE VIEW menshen_standing_session AS
SELECT s.key, s.public_id, s.account, s.connector, s.subject, s.provider_sid, s.facts,
       s.minted_at, s.expires_at, s.used_at,
       a.login, a.epoch, a.closed,
       i.entitlements, i.entitlements_epoch,
       s.connector_epoch, s.everyone_epoch
FROM menshen_session AS s
JOIN menshen_account AS a ON a.id = s.account AND a.epoch = s.account_epoch
JOIN menshen_identity AS i
  ON i.connector = s.connector AND i.subject = s.subject AND i.account = s.account
WHERE s.connector_epoch
      = coalesce((SELECT number FROM menshen_epoch WHERE name = 'connector:' || s.connector), 0)
  AND s.everyone_epoch = coalesce((SELECT number FROM menshen_epoch WHERE name = 'everyone'), 0);

-- What providers handed out with a session, sealed with the key ring; deleted with the session.
CREATE TABLE menshen_session_tokens (
    session_key bytea PRIMARY KEY REFERENCES menshen_session (key) ON DELETE CASCADE,
    version     bigint NOT NULL,
    sealed      text NOT NULL
);

-- A number is drawn under an exclusive lock, so the order of numbers is the order of commits.
CREATE TABLE menshen_revocation (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind   text COLLATE "C" NOT NULL CHECK (kind IN ('session', 'account', 'connector', 'everyone')),
    what   bytea NOT NULL,
    epoch  bigint NOT NULL,
    at     bigint NOT NULL
);

CREATE INDEX menshen_revocation_at ON menshen_revocation (at);

-- Sessions and persons that a provider ended while a login may have been under way.
CREATE TABLE menshen_logout_mark (
    connector text COLLATE "C" NOT NULL,
    kind      text COLLATE "C" NOT NULL CHECK (kind IN ('session', 'subject', 'unnamed')),
    what      text COLLATE "C" NOT NULL,
    at        bigint NOT NULL,
    until     bigint NOT NULL,
    PRIMARY KEY (connector, kind, what)
);

CREATE INDEX menshen_logout_mark_until ON menshen_logout_mark (until);

-- Provider sessions that a browser said were ended, from which no session here came. Anybody can say so:
-- the oldest are deleted when there are too many.
CREATE TABLE menshen_front_channel_mark (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connector text COLLATE "C" NOT NULL,
    sid       text COLLATE "C" NOT NULL,
    at        bigint NOT NULL,
    until     bigint NOT NULL,
    UNIQUE (connector, sid)
);

CREATE INDEX menshen_front_channel_mark_connector ON menshen_front_channel_mark (connector, number);
CREATE INDEX menshen_front_channel_mark_until ON menshen_front_channel_mark (until);

CREATE TABLE menshen_spent (
    what  bytea PRIMARY KEY CHECK (octet_length(what) = 32),
    until bigint NOT NULL
);

CREATE INDEX menshen_spent_until ON menshen_spent (until);

CREATE TABLE menshen_lease (
    name   text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    until  bigint NOT NULL
);
