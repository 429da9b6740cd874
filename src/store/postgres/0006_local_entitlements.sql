-- The department and the groups (a JSON array) that menshen itself gives a person.
ALTER TABLE menshen_account
    ADD COLUMN local_department text COLLATE "C",
    ADD COLUMN local_groups text COLLATE "C";
