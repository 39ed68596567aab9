/** Forgets all versions of all objects but the newest, as an API server asks etcd to do every few minutes. */
export async function compactEtcd(etcdUrl: string): Promise<void> {
  const post = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
    const answer = await fetch(etcdUrl + path, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) {
      throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
    }
    return (await answer.json()) as { header: { revision: string } };
  };
  const { header } = await post('/v3/maintenance/status', {});
  await post('/v3/kv/compaction', { revision: header.revision, physical: true });
}
