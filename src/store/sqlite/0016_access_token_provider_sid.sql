-- The session at the provider to which the session belonged in which a token was made: if another password
-- ends those sessions, their tokens end, too.
ALTER TABLE menshen_access_token ADD COLUMN provider_sid TEXT;
