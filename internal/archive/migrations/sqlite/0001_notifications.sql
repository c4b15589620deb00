-- Times are in seconds since 1970. Names that are compared without regard to case are in lower case; lists have a line break
-- before, between and after their names.
CREATE TABLE tocsin_notifications (
  uid             TEXT NOT NULL PRIMARY KEY,
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
  object          TEXT NOT NULL
);
CREATE INDEX tocsin_notifications_decided ON tocsin_notifications (decided, uid);
CREATE INDEX tocsin_notifications_namespace ON tocsin_notifications (namespace, decided, uid);
CREATE INDEX tocsin_notifications_kind ON tocsin_notifications (kind, decided, uid);
CREATE INDEX tocsin_notifications_condition ON tocsin_notifications (condition, decided, uid);
CREATE INDEX tocsin_notifications_severity ON tocsin_notifications (severity, decided, uid);
CREATE INDEX tocsin_notifications_creator ON tocsin_notifications (creator, decided, uid);
CREATE INDEX tocsin_notifications_acknowledged ON tocsin_notifications (acknowledged, decided, uid);
CREATE INDEX tocsin_notifications_name ON tocsin_notifications (namespace, name);
