-- The tables get the names that they have in PostgreSQL, so that both databases run the same statements.
DROP VIEW standing_session;

ALTER TABLE key_ring RENAME TO menshen_key_ring;
ALTER TABLE account RENAME TO menshen_account;
ALTER TABLE account_change RENAME TO menshen_account_change;
ALTER TABLE account_vouched RENAME TO menshen_account_vouched;
ALTER TABLE expected_identity RENAME TO menshen_expected_identity;
ALTER TABLE identity RENAME TO menshen_identity;
ALTER TABLE former_identity RENAME TO menshen_former_identity;
ALTER TABLE vouched RENAME TO menshen_vouched;
ALTER TABLE department RENAME TO menshen_department;
ALTER TABLE membership RENAME TO menshen_membership;
ALTER TABLE tag RENAME TO menshen_tag;
ALTER TABLE epoch RENAME TO menshen_epoch;
ALTER TABLE session RENAME TO menshen_session;
ALTER TABLE session_tokens RENAME TO menshen_session_tokens;
ALTER TABLE revocation RENAME TO menshen_revocation;
ALTER TABLE logout_mark RENAME TO menshen_logout_mark;
ALTER TABLE front_channel_mark RENAME TO menshen_front_channel_mark;
ALTER TABLE spent RENAME TO menshen_spent;
ALTER TABLE lease RENAME TO menshen_lease;

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
