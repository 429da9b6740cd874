-- Sessions of providers that a browser said were ended, where none stood on them here. Anybody can say
-- so: the oldest give way to new ones. AUTOINCREMENT: no number is given twice, so a number tells how
-- many came later.
CREATE TABLE front_channel_mark (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    connector TEXT NOT NULL,
    sid       TEXT NOT NULL,
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    UNIQUE (connector, sid)
) STRICT;
CREATE INDEX front_channel_mark_until ON front_channel_mark (until);
