-- Times are milliseconds since 1970, UTC. `data_key` is wrapped by the master key; every other blob of a secret is sealed
-- with the data key of the application or consumer that it belongs to, so that deleting the row erases them for good.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;

CREATE TABLE applications (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    data_key   BLOB NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY NOT NULL,
    app_id       TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    prefix       TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    label        TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    expires_ms   INTEGER,
    revoked_ms   INTEGER,
    last_used_ms INTEGER
) STRICT;

CREATE INDEX api_keys_by_prefix ON api_keys (prefix);
CREATE INDEX api_keys_by_app ON api_keys (app_id);

CREATE TABLE consumers (
    app_id     TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    id         TEXT NOT NULL,
    data_key   BLOB NOT NULL,
    metadata   TEXT NOT NULL DEFAULT '{}',
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE integrations (
    app_id        TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    service       TEXT NOT NULL,
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    client_id     TEXT,
    client_secret BLOB,
    scopes        TEXT NOT NULL DEFAULT '[]',
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL,
    PRIMARY KEY (app_id, service)
) STRICT, WITHOUT ROWID;

CREATE TABLE connections (
    id          TEXT PRIMARY KEY NOT NULL,
    app_id      TEXT NOT NULL,
    consumer_id TEXT NOT NULL,
    service     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('available', 'added', 'authorized', 'callable', 'invalid')),
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    settings    TEXT NOT NULL DEFAULT '{}',
    captured    TEXT NOT NULL DEFAULT '{}',
    reason_code TEXT,
    reason      TEXT,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    UNIQUE (app_id, consumer_id, service),
    FOREIGN KEY (app_id, consumer_id) REFERENCES consumers (app_id, id) ON DELETE CASCADE
) STRICT;

-- `version` grows with every change, so that of two refreshes of the same tokens only the first is kept.
CREATE TABLE credentials (
    connection_id TEXT PRIMARY KEY NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    sealed        BLOB NOT NULL,
    version       INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) STRICT;
