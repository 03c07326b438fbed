// The memory of one issuer.
//
// oidc-provider's own in-memory adapter keeps 1,000 entries and drops the oldest without a word, so
// a test with many tokens would see live ones refused. This one keeps everything: a server lives as
// long as one test.

/** Kinds of records that belong to a grant and die with it. */
const OF_A_GRANT = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode']);

/** Returns the adapter factory that oidc-provider takes; each call makes a separate memory. */
export function memory() {
  const records = new Map();
  const keysOfGrant = new Map();

  return (kind) => {
    const key = (id) => `${kind}:${id}`;
    const search = (matches) => {
      for (const [name, record] of records) {
        if (name.startsWith(`${kind}:`) && matches(record)) return record;
      }
      return undefined;
    };

    return {
      // Expiry is not looked at here: every record carries `exp`, and oidc-provider checks it.
      async upsert(id, record) {
        records.set(key(id), record);
        if (record.grantId && OF_A_GRANT.has(kind)) {
          const keys = keysOfGrant.get(record.grantId) ?? new Set();
          keysOfGrant.set(record.grantId, keys.add(key(id)));
        }
      },
      async find(id) {
        return records.get(key(id));
      },
      async findByUid(uid) {
        return search((record) => record.uid === uid);
      },
      async findByUserCode(userCode) {
        return search((record) => record.userCode === userCode);
      },
      async consume(id) {
        records.get(key(id)).consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id) {
        records.delete(key(id));
      },
      async revokeByGrantId(grantId) {
        for (const name of keysOfGrant.get(grantId) ?? []) records.delete(name);
        keysOfGrant.delete(grantId);
      },
    };
  };
}
