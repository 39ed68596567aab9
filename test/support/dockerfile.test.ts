import { expect, it } from 'vitest';
import { parseFinalStage } from './dockerfile.ts';

it('reads what the last stage copies and how it starts', () => {
  const text = [
    'FROM node AS bundle',
    'RUN npm ci \\',
    '    && npm test',
    '',
    '# Small.',
    'FROM base:nonroot',
    'COPY --from=bundle /build/dist /app',
    'USER 65532:65532',
    'ENV A=1 B=2',
    'ENV C=3',
    'ENTRYPOINT ["/node", "/app/main.mjs"]',
  ].join('\n');
  expect(parseFinalStage(text)).toEqual({
    base: 'base:nonroot',
    copies: [{ from: '/build/dist', to: '/app' }],
    user: '65532:65532',
    environment: ['A=1', 'B=2', 'C=3'],
    entrypoint: ['/node', '/app/main.mjs'],
  });
});

it('refuses an instruction that it does not follow', () => {
  expect(() => parseFinalStage('FROM base\nVOLUME /data')).toThrow(/not known here: VOLUME \/data/);
});
