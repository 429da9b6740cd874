-- The department and the groups (a JSON array) that menshen itself gives a person.
ALTER TABLE menshen_account ADD COLUMN local_department TEXT;
ALTER TABLE menshen_account ADD COLUMN local_groups TEXT;
