-- Times are in seconds since 1970. Names that are compared without regard to case are in lower case; lists have a line break
-- before, between and after their names.
CREATE TABLE notification_archive (
  uid             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  revision        BIGINT NOT NULL,
  namespace       TEXT NOT NULL,
  name            TEXT NOT NULL,
  created         BIGINT NOT NULL,
  decided         BIGINT NOT NULL,
  kind            TEXT NOT NULL,
  condition       TEXT NOT NULL,
  severity        TEXT NOT NULL,
  creator         TEXT NOT NULL,
  state           TEXT NOT NULL,
  acknowledged    BOOLEAN NOT NULL,
  acknowledged_by TEXT NOT NULL,
  acknowledged_at BIGINT,
  channels        TEXT NOT NULL,
  computers       TEXT NOT NULL,
  text            TEXT NOT NULL,
  object          JSON NOT NULL
);
CREATE INDEX notification_archive_decided ON notification_archive (decided, uid);
CREATE INDEX notification_archive_namespace ON notification_archive (namespace, decided, uid);
CREATE INDEX notification_archive_kind ON notification_archive (kind, decided, uid);
CREATE INDEX notification_archive_condition ON notification_archive (condition, decided, uid);
CREATE INDEX notification_archive_severity ON notification_archive (severity, decided, uid);
CREATE INDEX notification_archive_creator ON notification_archive (creator, decided, uid);
CREATE INDEX notification_archive_acknowledged ON notification_archive (acknowledged, decided, uid);
CREATE INDEX notification_archive_name ON notification_archive (namespace, name);
