import type { Reporter, TestCase } from 'vitest/node';

/**
 * Who attacks with what, as the tags of tests: `it('...', { tags: 'attack-image' }, ...)`. A tag that is not in this list is
 * an error of the runner.
 */
export const ATTACKS = [
  { name: 'attack-text', description: 'image texts, names and messages' },
  { name: 'attack-annotation', description: 'annotations of a workload, written by hand' },
  { name: 'attack-size', description: 'objects, lists and texts of great size' },
  { name: 'attack-share', description: 'more work than a fair share' },
  { name: 'attack-image', description: 'manifests and layers made to hurt' },
  { name: 'attack-registry', description: 'answers of a hostile registry' },
  { name: 'attack-secret', description: 'ways for a password to come out' },
  { name: 'attack-token', description: 'a stolen token of the controller' },
] as const;

/** One row of the table. */
export interface AttackCount {
  readonly description: string;
  readonly tried: number;
  readonly held: number;
}

/** Counts tests by their attack; those without one do not count. */
export function countAttacks(
  tests: readonly { readonly tags: readonly string[]; readonly hasPassed: boolean }[],
): readonly AttackCount[] {
  return ATTACKS.flatMap(({ name, description }) => {
    const tried = tests.filter(({ tags }) => tags.includes(name));
    const held = tried.filter(({ hasPassed }) => hasPassed).length;
    return tried.length > 0 ? [{ description, tried: tried.length, held }] : [];
  });
}

/** The table at the end of a run; nothing when no attack was tried. */
export function formatAttacks(counts: readonly AttackCount[]): string {
  if (counts.length === 0) {
    return '';
  }
  const total = {
    description: 'in all',
    tried: counts.reduce((sum, { tried }) => sum + tried, 0),
    held: counts.reduce((sum, { held }) => sum + held, 0),
  };
  const rows = [{ description: 'Attacks', tried: 'tried', held: 'held' }, ...counts, total];
  const width = Math.max(...rows.map(({ description }) => description.length));
  return rows
    .map(
      ({ description, tried, held }) =>
        `${description.padEnd(width)}  ${String(tried).padStart(5)}  ${String(held).padStart(5)}`,
    )
    .join('\n');
}

/** Prints how many attacks were tried, and how many held. */
export class AttackReporter implements Reporter {
  readonly #tests: { readonly tags: readonly string[]; readonly hasPassed: boolean }[] = [];

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state !== 'skipped') {
      this.#tests.push({ tags: test.tags, hasPassed: state === 'passed' });
    }
  }

  onTestRunEnd(): void {
    const table = formatAttacks(countAttacks(this.#tests));
    if (table !== '') {
      process.stdout.write(`\n${table}\n`);
    }
  }
}
