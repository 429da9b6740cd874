-- The connector whose directory sync closed the account and may reopen it.
ALTER TABLE menshen_account ADD COLUMN closed_by_sync text COLLATE "C";
