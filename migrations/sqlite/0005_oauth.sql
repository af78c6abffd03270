-- A refresh under way: who does it, until when nobody else may, and since when the CRM has not answered for sure. What is
-- still here after a crash tells the next one that the CRM may have replaced the refresh token unheard.
ALTER TABLE credentials ADD COLUMN lease_holder TEXT;
ALTER TABLE credentials ADD COLUMN lease_until_ms INTEGER;
ALTER TABLE credentials ADD COLUMN asked_since_ms INTEGER;

-- What an authorisation under way knows, sealed with the consumer's data key. `id` is a hash: who reads the table learns no
-- state. Rows are deleted as they are used.
CREATE TABLE oauth_states (
    id          BLOB PRIMARY KEY NOT NULL,
    app_id      TEXT NOT NULL,
    consumer_id TEXT NOT NULL,
    service     TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    expires_ms  INTEGER NOT NULL,
    FOREIGN KEY (app_id, consumer_id) REFERENCES consumers (app_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX oauth_states_by_consumer ON oauth_states (app_id, consumer_id);
CREATE INDEX oauth_states_by_end ON oauth_states (expires_ms);

-- Where an application lets browsers be sent after an authorisation.
CREATE TABLE redirect_uris (
    app_id     TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    uri        TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (app_id, uri)
) STRICT, WITHOUT ROWID;
