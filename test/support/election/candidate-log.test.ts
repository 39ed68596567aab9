import { expect, it } from 'vitest';

import { type CandidateLine, findDoubleLeaders, listTerms, parseCandidateLog } from './candidate-log.ts';

function aWrite(term: number, atMs: number): CandidateLine {
  return { event: 'write', fromMs: atMs, toMs: atMs, term };
}

it('finds nothing wrong with leaders one after the other', () => {
  const logs = new Map([
    ['one', [aWrite(1, 100), aWrite(1, 200), aWrite(3, 900)]],
    ['other', [aWrite(2, 400), aWrite(2, 500)]],
  ]);
  expect(findDoubleLeaders(logs)).toEqual([]);
  expect(listTerms(logs).map(({ identity }) => identity)).toEqual(['one', 'other', 'one']);
});

it('finds a leader that goes on in the term of the next one', () => {
  const logs = new Map([
    ['one', [aWrite(1, 100), aWrite(1, 450)]],
    ['other', [aWrite(2, 400), aWrite(2, 500)]],
  ]);
  expect(findDoubleLeaders(logs)).toEqual(['one led 50 ms into the term of other']);
});

it('counts a try that is refused to the term that client-go has begun, and to none that we could have', () => {
  const refused: CandidateLine[] = [
    aWrite(1, 450),
    { event: 'failed', fromMs: 450, toMs: 460, term: 1 },
    { event: 'superseded', fromMs: 470, toMs: 470, term: 1 },
  ];
  const find = (identity: string): readonly string[] =>
    findDoubleLeaders(
      new Map([
        [identity, [aWrite(1, 100), ...refused]],
        ['other', [aWrite(2, 400), aWrite(2, 500)]],
      ]),
    );
  expect(find('client-go-1')).toEqual([]);
  expect(find('ours-1')).toEqual(['ours-1 led 50 ms into the term of other']);
});

it('finds a count that two have written', () => {
  const written = (atMs: number): CandidateLine => ({ event: 'written', fromMs: atMs, toMs: atMs, count: 7 });
  const logs = new Map([
    ['one', [written(1)]],
    ['other', [written(2)]],
  ]);
  expect(findDoubleLeaders(logs)).toEqual(['one and other wrote the count 7']);
});

it('reads no more of a log than whole lines', () => {
  const text = 'W1125 klog\n{"event":"leading","fromMs":1,"toMs":1}\n{"event":"wri';
  expect(parseCandidateLog(text)).toEqual([{ event: 'leading', fromMs: 1, toMs: 1 }]);
});
