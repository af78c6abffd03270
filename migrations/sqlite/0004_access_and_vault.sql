-- What a key may be used from and for: JSON arrays of texts, empty for no limit.
ALTER TABLE api_keys ADD COLUMN allow_ips TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN endpoints TEXT NOT NULL DEFAULT '[]';

-- The plan: calls in a month of the calendar, UTC; none is no limit. `month` counts months since 1970.
ALTER TABLE applications ADD COLUMN calls_per_month INTEGER;

CREATE TABLE application_calls (
    app_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    month  INTEGER NOT NULL,
    calls  INTEGER NOT NULL,
    PRIMARY KEY (app_id, month)
) STRICT, WITHOUT ROWID;

-- Calls of a consumer; `day` counts days since 1970, UTC; `service` is empty where no connector was reached.
CREATE TABLE consumer_calls (
    app_id      TEXT NOT NULL,
    consumer_id TEXT NOT NULL,
    day         INTEGER NOT NULL,
    api         TEXT NOT NULL CHECK (api IN ('unify', 'proxy', 'vault')),
    service     TEXT NOT NULL,
    calls       INTEGER NOT NULL,
    PRIMARY KEY (app_id, consumer_id, day, api, service),
    FOREIGN KEY (app_id, consumer_id) REFERENCES consumers (app_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Data that the application attaches to a connection.
ALTER TABLE connections ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';

-- Values that fill bodies of creates: a JSON array per resource.
CREATE TABLE connection_defaults (
    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    resource      TEXT NOT NULL,
    defaults      TEXT NOT NULL,
    PRIMARY KEY (connection_id, resource)
) STRICT, WITHOUT ROWID;

-- Fields that an application asks for, and the consumers' answers: `resources` is JSON, `"*"` or field rules by resource.
ALTER TABLE applications ADD COLUMN data_scopes TEXT;
ALTER TABLE applications ADD COLUMN data_scopes_ms INTEGER;

CREATE TABLE consents (
    id            TEXT PRIMARY KEY NOT NULL,
    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    granted       INTEGER NOT NULL CHECK (granted IN (0, 1)),
    resources     TEXT NOT NULL,
    created_ms    INTEGER NOT NULL
) STRICT;

CREATE INDEX consents_by_connection ON consents (connection_id, created_ms);
