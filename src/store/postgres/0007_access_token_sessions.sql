-- When the session began in which a token was made: rules read the age of the login, not of the token.
ALTER TABLE menshen_access_token ADD COLUMN session_minted_at bigint;

DROP VIEW menshen_standing_access_token;

CREATE VIEW menshen_standing_access_token AS
SELECT t.key, t.public_id, t.account, t.connector, t.subject,
       CAST(NULL AS text) AS provider_sid, CAST('{}' AS text) AS facts,
       coalesce(t.session_minted_at, t.created_at) AS minted_at, t.expires_at,
       coalesce(t.used_at, t.created_at) AS used_at,
       t.created_at, t.used_at AS last_use, t.name, t.routes,
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
