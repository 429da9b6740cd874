-- From where the login of a session was sent, for the list of sessions.
ALTER TABLE menshen_session ADD COLUMN origin_address TEXT;
ALTER TABLE menshen_session ADD COLUMN origin_user_agent TEXT;
