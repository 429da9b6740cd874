-- A provider names what it ended by its own session or by the person.
CREATE INDEX session_provider_sid ON session (connector, provider_sid)
    WHERE provider_sid IS NOT NULL;
CREATE INDEX session_subject ON session (connector, subject);
