-- One row per idempotency key of a connection. `key_hash` and `fingerprint` are keyed hashes; `sent` and `answer` are
-- sealed with the consumer's data key. A row whose `lease_ms` has passed belongs to a gateway that is gone.
--   claimed: nothing has been sent · sending: a writing request was about to be sent, or was ·
--   uncertain: it was, and nobody knows what came of it · done: `answer` is what the caller was told
CREATE TABLE idempotency_keys (
    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    key_hash      BLOB NOT NULL,
    fingerprint   BLOB NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('claimed', 'sending', 'uncertain', 'done')),
    owner         TEXT NOT NULL,
    lease_ms      INTEGER NOT NULL,
    first_sent_ms INTEGER,
    last_sent_ms  INTEGER,
    sent          BLOB,
    answer        BLOB,
    created_ms    INTEGER NOT NULL,
    expires_ms    INTEGER NOT NULL,
    PRIMARY KEY (connection_id, key_hash)
) STRICT;

CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_ms);
