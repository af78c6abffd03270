-- One row a call; `requests` is JSON: the requests to the CRM that it caused. `seq` is the order of writing.
CREATE TABLE request_log (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL,
    app_id        TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    consumer_id   TEXT NOT NULL,
    service       TEXT NOT NULL,
    api           TEXT NOT NULL,
    operation     TEXT NOT NULL,
    method        TEXT NOT NULL,
    path          TEXT NOT NULL,
    base_url      TEXT NOT NULL,
    status        INTEGER NOT NULL,
    error         TEXT,
    fault         TEXT,
    message       TEXT,
    at_ms         INTEGER NOT NULL,
    total_us      INTEGER NOT NULL,
    downstream_us INTEGER NOT NULL,
    source        TEXT,
    requests      TEXT NOT NULL,
    requests_sent INTEGER NOT NULL
) STRICT;

CREATE INDEX request_log_by_consumer ON request_log (app_id, consumer_id, seq);
CREATE INDEX request_log_by_id ON request_log (app_id, id);
CREATE INDEX request_log_by_time ON request_log (at_ms);
