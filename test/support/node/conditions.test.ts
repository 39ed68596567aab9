import { expect, it } from 'vitest';
import { announceFallback, describeProblems, findNodeProblems, type MachineFacts } from './conditions.ts';

const FIT: MachineFacts = {
  platform: 'linux',
  userId: 0,
  programs: new Set(['runc', 'ip', 'nft', 'unshare', 'nsenter', 'setpriv']),
  cniFolder: '/usr/lib/cni',
  cgroupProblem: undefined,
  hasOverlay: true,
  namespaceProblem: undefined,
};

it('has nothing against a machine that has everything', () => {
  expect(findNodeProblems(FIT)).toEqual([]);
});

it.each([
  ['not Linux', { platform: 'darwin' }, /^this is darwin, and a node needs Linux$/],
  ['not root', { userId: 1000 }, /needs root/],
  [
    'no runc',
    { programs: new Set([...FIT.programs].filter((name) => name !== 'runc')) },
    /apt-get install runc$/,
  ],
  ['no CNI plugins', { cniFolder: undefined }, /apt-get install containernetworking-plugins$/],
  ['no overlay', { hasOverlay: false }, /overlay file system/],
  [
    'unfit control groups',
    { cgroupProblem: '/sys/fs/cgroup/cpu is not there' },
    /^\/sys\/fs\/cgroup\/cpu is not there$/,
  ],
  [
    'no namespaces',
    { namespaceProblem: 'Operation not permitted' },
    /refuses namespaces.*: Operation not permitted$/,
  ],
] as const)('names the one condition that is not met: %s', (_, facts, expected) => {
  expect(findNodeProblems({ ...FIT, ...facts })).toEqual([expect.stringMatching(expected)]);
});

it('announces in one line what to install for real containers, and that it goes on without', () => {
  const programs = new Set([...FIT.programs].filter((name) => name !== 'runc' && name !== 'nft'));
  expect(announceFallback({ ...FIT, programs, cniFolder: undefined })).toMatch(
    /^No real containers here \(on Debian, "apt-get install runc nftables containernetworking-plugins".*goes on without/,
  );
  expect(announceFallback({ ...FIT, userId: 1000, programs })).toMatch(/needs root/);
  expect(announceFallback(FIT)).toBeUndefined();
});

it('puts each of several conditions on a line of its own', () => {
  const problems = findNodeProblems({ ...FIT, hasOverlay: false, cniFolder: undefined });
  expect(describeProblems(problems).split('\n')).toHaveLength(3);
});
