import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import {
  copyRepositoryOf,
  isCopy,
  isCopyOf,
  parsePrefix,
  planCopyNames,
  type CopyNamesRequest,
  type Naming,
} from '../../src/images/copy-name.ts';
import { formatReference, parseReference } from '../../src/images/reference.ts';

const DIGEST = `sha256:3f2a9c1b4d5e${'0'.repeat(52)}`;
const OTHER_DIGEST = `sha256:${'e'.repeat(64)}`;

const backup = parsePrefix('b.example/p');

function plan(source: string, request: Partial<CopyNamesRequest> = {}) {
  const names = planCopyNames({
    source: parseReference(source),
    digest: DIGEST,
    prefix: backup,
    naming: 'auto',
    ...request,
  });
  return {
    immutable: formatReference(names.immutable),
    moving: names.moving && formatReference(names.moving),
    image: names.image,
  };
}

function repositoryOf(source: string, prefix: string, naming: Naming = 'auto'): string {
  const { host, repository } = copyRepositoryOf(parseReference(source), {
    prefix: parsePrefix(prefix),
    naming,
  });
  return `${host}/${repository}`;
}

describe('REGISTRY_PREFIX', () => {
  it.each([
    ['registry.example.com/backup', 'registry.example.com', 'backup'],
    ['registry.example.com/backup/', 'registry.example.com', 'backup'],
    [' registry.example.com/a/b/c\n', 'registry.example.com', 'a/b/c'],
    ['registry.example.com:5000', 'registry.example.com:5000', ''],
    ['registry.example.com:5000/', 'registry.example.com:5000', ''],
    ['localhost', 'localhost', ''],
    ['localhost:5000/p', 'localhost:5000', 'p'],
    ['[::1]:5000/p', '[::1]:5000', 'p'],
    ['docker.io/u', 'docker.io', 'u'],
    ['index.docker.io/u', 'docker.io', 'u'],
    ['Registry.Example.com/p', 'registry.example.com', 'p'],
    ['docker.io/constructor', 'docker.io', 'constructor'],
  ])('%j is read as host %s and path %j', (text, host, path) => {
    expect(parsePrefix(text)).toEqual({ host, path });
  });

  it.each([
    ['', 'it is empty; write a registry and a path, such as registry.example.com/backup'],
    [' ', 'it is empty'],
    ['/', 'it is empty'],
    ['b.example/p//', 'a repository is words'],
    ['/p', 'a repository is words'],
    ['https://b.example/p', 'an image is written without "https://"'],
    ['https://b.example:5000', 'an image is written without "https://"'],
    ['b.example/p:1', 'it has a tag or a digest'],
    [`b.example/p@${DIGEST}`, 'it has a tag or a digest'],
    ['b.example/P', 'the repository has capital letters'],
    ['my_registry.example/p', 'has an underscore'],
    ['b.example:99999/p', 'the port of the host "b.example:99999" is not between 1 and 65535'],
    ['b.example/p\u001B[31m', 'the character U+001B is not allowed'],
    ['Backup/x', '"Backup" can mean an account of Docker Hub, which is written docker.io/backup'],
    [
      'backup',
      '"backup" can mean an account of Docker Hub, which is written docker.io/backup, or a registry',
    ],
    ['backup/images', 'written with a domain or a port: backup.namespace.svc or backup:5000'],
    ['my-backup/', 'docker.io/my-backup'],
    ['constructor', 'docker.io/constructor'],
    ['docker.io', 'Docker Hub needs a namespace, such as docker.io/your-name'],
    ['index.docker.io/', 'Docker Hub needs a namespace'],
    ['docker.io/library', 'Docker Hub needs a namespace'],
    ['docker.io/u/v', 'Docker Hub has no repositories below a repository'],
    [`b.example/${'p'.repeat(120)}`, 'it has more than 128 characters'],
  ])('%j is refused with what to do', (text, sentence) => {
    expect(() => parsePrefix(text)).toThrow(UsageError);
    expect(() => parsePrefix(text)).toThrow(/^REGISTRY_PREFIX cannot be used: /);
    expect(() => parsePrefix(text)).toThrow(sentence);
  });
});

describe('an image', () => {
  it.each([
    ['b.example/p/docker.io/library/nginx:1.27', 'b.example/p', true],
    ['b.example/p/x', 'b.example/p', true],
    ['B.Example/p/x', 'b.example/p', true],
    ['b.example/p', 'b.example/p', false],
    ['b.example/p-evil/x', 'b.example/p', false],
    ['b.example/x/p/x', 'b.example/p', false],
    ['b.example:443/p/x', 'b.example/p', false],
    ['evil.b.example/p/x', 'b.example/p', false],
    ['docker.io/b.example/p/x', 'b.example/p', false],
    ['localhost:5000/x', 'localhost:5000', true],
    ['localhost:50000/x', 'localhost:5000', false],
    ['u/x', 'docker.io/u', true],
    ['index.docker.io/u/x', 'docker.io/u', true],
    ['u', 'docker.io/u', false],
    ['nginx', 'docker.io/u', false],
  ])('%s under the prefix %s counts as a copy: %s', (image, prefix, expected) => {
    expect(isCopy(parseReference(image), parsePrefix(prefix))).toBe(expected);
  });
});

// These names are in the backups of users: a change here copies everything again.
describe('the repository of a copy', () => {
  it.each([
    ['nginx', 'b.example/p', 'b.example/p/docker.io/library/nginx'],
    ['index.docker.io/library/nginx', 'b.example/p', 'b.example/p/docker.io/library/nginx'],
    ['ghcr.io/acme/a/b/c', 'b.example/p', 'b.example/p/ghcr.io/acme/a/b/c'],
    ['localhost:5000/api', 'b.example/p', 'b.example/p/localhost_5000/api'],
    ['localhost/api', 'b.example:5000', 'b.example:5000/localhost/api'],
    ['10.0.0.5:30500/t/a_b', 'b.example', 'b.example/10.0.0.5_30500/t/a_b'],
    ['b.example/p-evil/x', 'b.example/p', 'b.example/p/b.example/p-evil/x'],
  ])('of %s below %s is %s', (source, prefix, expected) => {
    expect(repositoryOf(source, prefix)).toBe(expected);
  });

  it.each([
    ['nginx', 'docker.io/u', 'docker.io/u/docker-io-library-nginx-7e59ad6432'],
    ['nginx', 'registry.gitlab.com/g/p', 'registry.gitlab.com/g/p/docker-io-library-nginx-7e59ad6432'],
    [
      'nginx',
      'registry.gitlab.example:5050/g/p',
      'registry.gitlab.example:5050/g/p/docker-io-library-nginx-7e59ad6432',
    ],
    ['gcr.io/a-b/c', 'docker.io/u', 'docker.io/u/gcr-io-a-b-c-'],
    ['gcr.io/a/b-c', 'docker.io/u', 'docker.io/u/gcr-io-a-b-c-'],
  ])('of %s is flat below %s, which has no room for more levels', (source, prefix, expected) => {
    expect(repositoryOf(source, prefix)).toContain(expected);
  });

  it.each([
    ['a capital letter in the host', 'GHCR.IO/acme/api', 'ghcr-io-acme-api-'],
    ['an address for a host', '[::1]:5000/api', '1-5000-api-'],
    ['a double dash in the host', 'xn--bcher-kva.example/x', 'xn-bcher-kva-example-x-'],
    ['a double dash', 'u/a--b', 'docker-io-u-a-b-'],
    ['a double underscore', 'u/a__b', 'docker-io-u-a-b-'],
    ['too many characters', `b.example/${'x'.repeat(255)}`, `b-example-${'x'.repeat(200)}`],
  ])('is flat for a source with %s, which no nested name can spell', (_, source, expected) => {
    expect(repositoryOf(source, 'b.example/p', 'nested')).toContain(`b.example/p/${expected}`);
  });

  it.each<[Naming, string, string]>([
    ['flat', 'b.example/p', 'b.example/p/docker-io-library-nginx-7e59ad6432'],
    ['nested', 'registry.gitlab.com/g/p', 'registry.gitlab.com/g/p/docker.io/library/nginx'],
  ])('is %s at %s when NAMING says so', (naming, prefix, expected) => {
    expect(repositoryOf('nginx', prefix, naming)).toBe(expected);
  });
});

describe('the names of a copy', () => {
  const repository = 'b.example/p/docker.io/library/nginx';

  it('are an immutable tag, a moving one, and a pinned text', () => {
    expect(plan('nginx:1.27')).toEqual({
      immutable: `${repository}:1.27--3f2a9c1b4d5e`,
      moving: `${repository}:1.27`,
      image: `${repository}:1.27@${DIGEST}`,
    });
  });

  it.each([
    [`nginx@${DIGEST}`, 'digest', ''],
    [`nginx:1.27@${DIGEST}`, '1.27', ':1.27'],
    ['nginx:1--0123456789ab', '1--0123456789ab', ':1--0123456789ab'],
  ])(
    'of %s, pinned or tagged like our own copies, move no tag',
    { tags: 'attack-text' },
    (source, stem, tag) => {
      expect(plan(source)).toEqual({
        immutable: `${repository}:${stem}--3f2a9c1b4d5e`,
        moving: undefined,
        image: `${repository}${tag}@${DIGEST}`,
      });
    },
  );

  it('have a tag of at most 128 characters, however long that of the source is', () => {
    const { immutable, moving } = plan(`nginx:${'t'.repeat(128)}`);
    expect(immutable).toBe(`${repository}:${'t'.repeat(106)}--3f2a9c1b4d5e`);
    expect(moving).toBe(`${repository}:${'t'.repeat(128)}`);
  });

  it(
    'say of a copy of some platforms that it is one, and no source can move such a tag',
    { tags: 'attack-text' },
    () => {
      const partial = { isPartial: true };
      expect(plan('nginx:1.27', partial)).toEqual({
        immutable: `${repository}:1.27--3f2a9c1b4d5e-partial`,
        moving: `${repository}:1.27`,
        image: `${repository}:1.27@${DIGEST}`,
      });
      const longest = plan(`nginx:${'t'.repeat(128)}`, partial).immutable;
      expect(longest).toBe(`${repository}:${'t'.repeat(106)}--3f2a9c1b4d5e-partial`);
      expect(plan('nginx:1.27--3f2a9c1b4d5e-partial').moving).toBeUndefined();
    },
  );

  it('do not exist for a copy: it is never copied again', () => {
    expect(() => plan('b.example/p/docker.io/library/nginx')).toThrow('no copy can be named');
  });

  it.each(['', 'sha256:', 'latest', `${DIGEST}\n`])(
    'do not exist for the digest %j',
    { tags: 'attack-text' },
    (digest) => {
      expect(() => plan('nginx', { digest })).toThrow('no copy can be named');
    },
  );
});

describe('a copy', () => {
  const pinned = `b.example/p/docker.io/library/nginx:1.27@${DIGEST}`;

  it.each([
    [pinned, 'nginx:1.27', true],
    [pinned, 'index.docker.io/library/nginx:1.27', true],
    [pinned, `nginx:1.27@${DIGEST}`, true],
    ['b.example/p/docker.io/library/nginx:1.27', 'nginx:1.27', true],
    ['b.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e', 'nginx:1.27', true],
    ['b.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e', `nginx:1.27@${DIGEST}`, true],
    ['b.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e-partial', 'nginx:1.27', true],
    ['b.example/p/docker.io/library/nginx:1.27--3f2a9c1b4d5e-partial', `nginx:1.27@${DIGEST}`, true],
    ['b.example/p/docker.io/library/nginx:digest--3f2a9c1b4d5e', `nginx@${DIGEST}`, true],
    ['b.example/p/docker-io-library-nginx-7e59ad6432:1.27', 'nginx:1.27', true],
    [`b.example/p/docker.io/library/nginx@${DIGEST}`, `nginx@${DIGEST}`, true],
    [`b.example/p/docker.io/library/nginx@${OTHER_DIGEST}`, `nginx@${DIGEST}`, false],
    ['b.example/p/docker.io/library/nginx:1.27--eeeeeeeeeeee', `nginx:1.27@${DIGEST}`, false],
    ['b.example/p/docker.io/library/nginx:digest--eeeeeeeeeeee', `nginx@${DIGEST}`, false],
    [`b.example/p/docker.io/library/nginx@${DIGEST}`, 'nginx:1.27', false],
    [`b.example/p/docker.io/library/nginx:${'t'.repeat(114)}`, `nginx:${'t'.repeat(128)}`, false],
    [pinned, 'nginx:1.28', false],
    [pinned, 'nginx', false],
    [pinned, 'redis:1.27', false],
    [pinned, 'evil.example/library/nginx:1.27', false],
    ['b.example/p/docker-io-library-nginx-0000000000:1.27', 'nginx:1.27', false],
    ['b.example/q/docker.io/library/nginx:1.27', 'nginx:1.27', false],
    ['c.example/p/docker.io/library/nginx:1.27', 'nginx:1.27', false],
    ['nginx:1.27', 'nginx:1.27', false],
    [pinned, pinned, false],
  ])('%s is one of %s: %s', (copy, source, expected) => {
    expect(isCopyOf(parseReference(copy), parseReference(source), backup)).toBe(expected);
  });
});
