import { expect, it } from 'vitest';

import { formatJson, formatTable } from '../../src/cli/text-table.ts';

it('aligns columns, without blanks at the end of a line', () => {
  const rows = [
    ['shop', 'deployment/web', 'swap'],
    ['monitoring', 'daemonset/agent', ''],
  ];
  expect(formatTable(['NAMESPACE', 'WORKLOAD', 'ACTION'], rows)).toBe(
    [
      'NAMESPACE    WORKLOAD          ACTION',
      'shop         deployment/web    swap',
      'monitoring   daemonset/agent',
      '',
    ].join('\n'),
  );
});

it('keeps hostile text on its line and out of the terminal', { tags: 'attack-text' }, () => {
  const hostile = 'nginx\n\u001B[31mred\u001B[0m\r\u202Egnp.exe\u0007';
  const lines = formatTable(['IMAGE'], [[hostile], ['next']]).split('\n');
  expect(lines).toEqual(['IMAGE', 'nginx [31mred [0m gnp.exe', 'next', '']);
});

it('cuts what is too long for anybody to read', { tags: 'attack-size' }, () => {
  const [, line = ''] = formatTable(['IMAGE'], [['x'.repeat(5_000)]]).split('\n');
  expect(line).toHaveLength(600);
});

it('keeps hostile text inside of JSON', { tags: 'attack-text' }, () => {
  const text = formatJson({ image: 'a\n\u001B[31m"' });
  expect(text).not.toContain('\u001B');
  expect(JSON.parse(text)).toEqual({ image: 'a\n\u001B[31m"' });
});
