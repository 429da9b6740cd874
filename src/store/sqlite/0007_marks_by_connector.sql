-- The oldest marks of a connector give way to its own new ones, never to those of another.
CREATE INDEX front_channel_mark_connector ON front_channel_mark (connector, number);
