-- Records of every kind: opaque bytes under a key that sorts byte by byte. See store/store.h.
PRAGMA application_id = 0x53444c54; -- "SDLT"

CREATE TABLE record (
    kind  INTEGER NOT NULL, -- enum store_kind
    key   BLOB    NOT NULL,
    value BLOB    NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
