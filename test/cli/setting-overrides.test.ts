import { describe, expect, it } from 'vitest';

import { parseOverrides } from '../../src/cli/setting-overrides.ts';
import { UsageError } from '../../src/errors.ts';

describe('--set', () => {
  it('may be given several times, and its value may have anything in it', () => {
    expect(parseOverrides(['MODE=copy', 'REGISTRY_PREFIX=', 'SOURCE_HOSTS=a=b,c'])).toEqual({
      MODE: 'copy',
      REGISTRY_PREFIX: '',
      SOURCE_HOSTS: 'a=b,c',
    });
  });

  it.each(['MODE', '=copy', 'mode=copy', '', 'MODE copy'])('is refused as %j', (text) => {
    expect(() => parseOverrides([text])).toThrow(UsageError);
  });
});
