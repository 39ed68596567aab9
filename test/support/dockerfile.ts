/** The last stage of a Dockerfile, as far as ours goes: what it copies where, and how it is started. */
export interface FinalStage {
  readonly base: string;
  /** Paths of earlier stages, and where they end up. */
  readonly copies: readonly { readonly from: string; readonly to: string }[];
  readonly user: string;
  /** `NAME=value`. */
  readonly environment: readonly string[];
  readonly entrypoint: readonly string[];
}

/** @throws {Error} about an instruction that it does not know: what is left out here is not proven. */
export function parseFinalStage(dockerfile: string): FinalStage {
  const lines = dockerfile.split('\n').filter((line) => /^[A-Z]+ /.test(line));
  const start = lines.findLastIndex((line) => line.startsWith('FROM '));
  const stage = { base: '', user: '', copies: [] as FinalStage['copies'][number][] };
  const environment: string[] = [];
  let entrypoint: readonly string[] = [];
  for (const line of lines.slice(start)) {
    const [instruction = '', ...words] = line.split(' ');
    const rest = words.join(' ');
    switch (instruction) {
      case 'FROM':
        stage.base = rest;
        break;
      case 'COPY':
        stage.copies.push({ from: words[1] ?? '', to: words[2] ?? '' });
        break;
      case 'USER':
        stage.user = rest;
        break;
      case 'ENV':
        environment.push(...words);
        break;
      case 'ENTRYPOINT':
        entrypoint = JSON.parse(rest) as string[];
        break;
      default:
        throw new Error(
          `the last stage of the Dockerfile has an instruction that is not known here: ${line}`,
        );
    }
  }
  return { ...stage, environment, entrypoint };
}
