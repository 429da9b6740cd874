-- Who caused a line: 0 a stranger, 1 a person, 2 an administrator. If there are too many, those of strangers are
-- deleted first, and those of administrators last.
ALTER TABLE menshen_audit_line ADD COLUMN cause bigint NOT NULL DEFAULT 1;

UPDATE menshen_audit_line SET cause = CASE event WHEN 'refused' THEN 0 ELSE 2 END
    WHERE event IN ('refused', 'config');

CREATE INDEX menshen_audit_line_cause ON menshen_audit_line (cause, number);

-- The kind of each connector that the file of a node had, as the last one said it.
CREATE TABLE menshen_connector_kind (
    connector text COLLATE "C" PRIMARY KEY,
    kind      text COLLATE "C" NOT NULL
);
