-- Fields that an application wants beside the contract's, per connector and resource: what `custom_mappings` holds.
CREATE TABLE custom_mapping_targets (
    app_id      TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    service     TEXT NOT NULL,
    resource    TEXT NOT NULL,
    key         TEXT NOT NULL,
    label       TEXT NOT NULL,
    description TEXT,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    PRIMARY KEY (app_id, service, resource, key)
) STRICT;

-- Where one connection finds such a field in its CRM's records: a JSONPath.
CREATE TABLE custom_mapping_sources (
    connection_id TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    app_id        TEXT NOT NULL,
    service       TEXT NOT NULL,
    resource      TEXT NOT NULL,
    key           TEXT NOT NULL,
    path          TEXT NOT NULL,
    updated_ms    INTEGER NOT NULL,
    PRIMARY KEY (connection_id, resource, key),
    FOREIGN KEY (app_id, service, resource, key)
        REFERENCES custom_mapping_targets (app_id, service, resource, key) ON DELETE CASCADE
) STRICT;

CREATE INDEX custom_mapping_sources_by_target ON custom_mapping_sources (app_id, service, resource, key);
