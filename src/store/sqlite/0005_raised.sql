-- When a number was raised last: whatever was proved before is measured by it.
ALTER TABLE epoch ADD COLUMN raised_at INTEGER;
