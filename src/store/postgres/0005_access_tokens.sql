-- What a person gives a program that can neither sign in nor hold a cookie.
CREATE TABLE menshen_access_token (
    key             bytea PRIMARY KEY CHECK (length(key) = 32),
    public_id       bytea NOT NULL UNIQUE CHECK (length(public_id) = 16),
    account         bytea NOT NULL REFERENCES menshen_account (id),
    connector       text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    name            text NOT NULL,
    -- A JSON list of the routes it opens; NULL: every route that allows access tokens.
    routes          text,
    created_at      bigint NOT NULL,
    expires_at      bigint NOT NULL,
    used_at         bigint,
    revoked_at      bigint,
    account_epoch   bigint NOT NULL,
    connector_epoch bigint NOT NULL,
    everyone_epoch  bigint NOT NULL
);

CREATE INDEX menshen_access_token_account ON menshen_access_token (account);
CREATE INDEX menshen_access_token_subject ON menshen_access_token (connector, subject);
CREATE INDEX menshen_access_token_expires_at ON menshen_access_token (expires_at);
CREATE INDEX menshen_access_token_revoked_at ON menshen_access_token (revoked_at)
    WHERE revoked_at IS NOT NULL;

-- The tokens that nobody ended, with their account and identity, in the columns of a standing session.
CREATE VIEW menshen_standing_access_token AS
SELECT t.key, t.public_id, t.account, t.connector, t.subject,
       CAST(NULL AS text) AS provider_sid, CAST('{}' AS text) AS facts,
       t.created_at AS minted_at, t.expires_at, coalesce(t.used_at, t.created_at) AS used_at,
       t.used_at AS last_use, t.name, t.routes,
       a.login, a.epoch, a.closed,
       i.entitlements, i.entitlements_epoch,
       t.connector_epoch, t.everyone_epoch,
       CAST(NULL AS bigint) AS tokens_version, CAST(NULL AS text) AS tokens_sealed
FROM menshen_access_token AS t
JOIN menshen_account AS a ON a.id = t.account AND a.epoch = t.account_epoch
JOIN menshen_identity AS i
  ON i.connector = t.connector AND i.subject = t.subject AND i.account = t.account
WHERE t.revoked_at IS NULL
  AND t.connector_epoch
      = coalesce((SELECT number FROM menshen_epoch WHERE name = 'connector:' || t.connector), 0)
  AND t.everyone_epoch = coalesce((SELECT number FROM menshen_epoch WHERE name = 'everyone'), 0);
