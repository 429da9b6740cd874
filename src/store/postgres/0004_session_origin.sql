-- From where the login of a session was sent, for the list of sessions.
ALTER TABLE menshen_session
    ADD COLUMN origin_address text COLLATE "C",
    ADD COLUMN origin_user_agent text COLLATE "C";
