-- The fields of a person, for the directory and its search. Folded forms are in lower case.
ALTER TABLE menshen_account
    ADD COLUMN name         text,
    ADD COLUMN name_folded  text COLLATE "C",
    ADD COLUMN email        text,
    ADD COLUMN email_folded text COLLATE "C",
    ADD COLUMN mobile       text COLLATE "C",
    ADD COLUMN seen_at      bigint;
CREATE INDEX menshen_account_name ON menshen_account (name_folded);
CREATE INDEX menshen_account_email ON menshen_account (email_folded);
CREATE INDEX menshen_account_mobile ON menshen_account (mobile);

-- What an administrator vouched for; at most one value of a field.
CREATE TABLE menshen_account_vouched (
    account bytea NOT NULL REFERENCES menshen_account (id),
    field   text COLLATE "C" NOT NULL CHECK (field IN ('mobile', 'email')),
    value   text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, field)
);
CREATE INDEX menshen_account_vouched_value ON menshen_account_vouched (field, value);

-- Where a person who has not signed in yet is expected from. Without a subject, the login name decides.
CREATE TABLE menshen_expected_identity (
    account   bytea NOT NULL REFERENCES menshen_account (id),
    connector text COLLATE "C" NOT NULL,
    subject   text COLLATE "C",
    PRIMARY KEY (account, connector)
);
CREATE UNIQUE INDEX menshen_expected_identity_subject
    ON menshen_expected_identity (connector, subject) WHERE subject IS NOT NULL;

-- Departments of a connector. A parent may be missing, and parents may form a circle.
CREATE TABLE menshen_department (
    connector text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    parent    text COLLATE "C",
    name      text COLLATE "C" NOT NULL,
    PRIMARY KEY (connector, id)
);
CREATE INDEX menshen_department_parent ON menshen_department (connector, parent);
CREATE INDEX menshen_department_name ON menshen_department (name);

-- The departments of an identity; a department need not be known.
CREATE TABLE menshen_membership (
    connector  text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    department text COLLATE "C" NOT NULL,
    leads      boolean NOT NULL,
    PRIMARY KEY (connector, subject, department),
    FOREIGN KEY (connector, subject)
        REFERENCES menshen_identity (connector, subject) ON DELETE CASCADE
);
CREATE INDEX menshen_membership_department ON menshen_membership (connector, department);

CREATE TABLE menshen_tag (
    connector text COLLATE "C" NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    tag       text COLLATE "C" NOT NULL,
    PRIMARY KEY (connector, subject, tag),
    FOREIGN KEY (connector, subject)
        REFERENCES menshen_identity (connector, subject) ON DELETE CASCADE
);
CREATE INDEX menshen_tag_tag ON menshen_tag (connector, tag);
