import { randomUUID } from 'node:crypto';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock } from '../../clock.ts';
import { RegistryError, UsageError } from '../../errors.ts';
import { formatReference } from '../../images/reference.ts';
import type { CopyJob } from '../../reconcile/ports.ts';
import { listSecrets, type Credential } from '../credentials/credentials.ts';
import type { CopyMeter } from './copy-meter.ts';
import { createEngineInput, type RegistryManners } from './engine-config.ts';
import { describeFailedRun } from './outcome.ts';
import { createReadingGuard } from './reading-guard.ts';
import { createContentError } from '../manifests/manifest-content.ts';
import { toSecretFree } from '../secret-free.ts';
import { parseRetryAfterMs } from '../limits/retry-after.ts';
import { MemoryBudget, type MemoryExcess, type MemoryLimits } from '../programs/memory-budget.ts';
import { runProgram, type ProgramResult } from '../programs/run-program.ts';
import { describeTimeout } from './slow-side.ts';
import type { TracedRequest } from './trace-line.ts';
import { createTraceReader, type FailedRequest, type RunTrace } from './trace.ts';

export interface EngineOptions {
  /** Path of `regctl`, 0.11.5 or newer, or its name if it is in PATH. */
  readonly program: string;
  /** Ours; the engine gets to see the few variables it needs. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where a file can be created; it has no name any more when it is given its content. */
  readonly temporaryFolder: string;
  readonly clock: Clock;
  /** From asking the engine to end until it is ended. */
  readonly killAfterMs?: number;
  /** What engines may have in memory; {@link planEngineMemory} by default, for one. */
  readonly memoryLimits?: () => MemoryLimits;
}

export interface EngineCopy {
  readonly job: CopyJob;
  /** Whose turn it is; empty for nobody that is known. */
  readonly namespace: string;
  readonly credentials: { readonly source: Credential | undefined; readonly copy: Credential | undefined };
  readonly manners: RegistryManners;
  /** Signatures, attestations and SBOMs too, whether they refer to the image or have tags as cosign writes them. */
  readonly withReferrers: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly meter: CopyMeter;
  /** Told of every request, with its answer if there was one. */
  readonly onAnswer?: (request: TracedRequest) => void;
}

export interface CopyEngine {
  /**
   * Runs the engine for one copy. Returns the digest that the backup registry acknowledged for the new tag,
   * or undefined when nothing was written or nothing acknowledged.
   *
   * When this process is killed, the engine is not told: it ends when it writes its next line of trace, which
   * nobody reads, or with the container.
   *
   * @throws {RegistryError} for everything that registries do.
   * @throws {UsageError} when the engine cannot be started.
   */
  copy(copy: EngineCopy): Promise<string | undefined>;
}

/** What the engine may see of our environment: how to be found, whom to trust, which proxy to use. */
const PASSED_ON = ['PATH', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
/** The engine waits for as long as a registry tells it to; longer waits belong into the queue. */
const LONGEST_WAIT_MS = 10_000;
const MIB = 1024 * 1024;
/**
 * An ordinary image makes the engine take 14 to 18 MiB, and the largest that is begun with 72 (docs/bench.md). What takes more
 * was made to: a source can send endless lists and error messages, which nothing but this bounds.
 */
const MOST_MEMORY_BYTES = 96 * MIB;
const ORDINARY_MEMORY_BYTES = 24 * MIB;
/** From here on the engine rather collects its garbage than take more: what it needs at once is below that. */
const MEMORY_GOAL = '64MiB';

/**
 * Room for ordinary images in all engines, or for a single large one beside none: of large ones of several, the largest for
 * the namespace that takes the most waits for another time. Whatever sources send, the controller has the rest of its memory for itself.
 */
export function planEngineMemory(copyConcurrency: number): MemoryLimits {
  const togetherBytes = Math.max(MOST_MEMORY_BYTES, copyConcurrency * ORDINARY_MEMORY_BYTES);
  return { aloneBytes: MOST_MEMORY_BYTES, togetherBytes };
}

export function createCopyEngine(options: EngineOptions): CopyEngine {
  const memory = new MemoryBudget(options.memoryLimits ?? (() => planEngineMemory(1)));
  return {
    async copy(copy) {
      const guard = createReadingGuard(copy.job);
      const reader = createTraceReader(copy.job, (line) => {
        copy.meter.note(line);
        guard.note(line);
        if (line.request) {
          copy.onAnswer?.(line.request);
        }
      });
      let decisive: FailedRequest | undefined;
      const result = await runEngine({ ...options, memory }, copy, (line) => {
        const failed = reader.readLine(line);
        if (failed && (isLongWait(failed) || reader.isUploadRefused())) {
          decisive ??= failed;
        }
        return decisive || reader.isConfigRefused() || guard.findExcess() !== undefined ? 'stop' : undefined;
      });
      if (result.memoryExcess?.is === 'together') {
        throw createCrowdedError(copy.job, result.memoryExcess);
      }
      const excess = describeMemory(result) ?? guard.findExcess();
      if (excess !== undefined && result.stopped !== 'abort') {
        throw createContentError(copy.job.source, excess);
      }
      const trace = reader.read();
      if (result.exitCode === 0 && !result.stopped && !trace.isConfigRefused) {
        return trace.pushedDigest;
      }
      throw describeEnd({ copy, result, trace, decisive }, options.clock.nowMs());
    },
  };
}

async function runEngine(
  options: EngineOptions & { readonly memory: MemoryBudget },
  copy: EngineCopy,
  onErrorLine: (line: string) => 'stop' | undefined,
): Promise<ProgramResult> {
  const { program, temporaryFolder, environment, killAfterMs } = options;
  const { config, references } = createEngineInput(copy.job, copy.credentials, copy.manners);
  const file = await createPrivateFile(temporaryFolder, config);
  try {
    return await runProgram({
      program,
      // A reference cannot start with a dash, and this holds even if one could.
      args: ['image', 'copy', '-v', 'trace', '--logopt', 'json', ...listFlags(copy), '--', ...references],
      environment: {
        ...pickEnvironment(environment),
        REGCTL_CONFIG: '/dev/stdin',
        GOMEMLIMIT: MEMORY_GOAL,
      },
      memory: { budget: options.memory, group: copy.namespace },
      stdin: file.fd,
      timeoutMs: copy.timeoutMs,
      signal: copy.signal,
      onErrorLine,
      ...(killAfterMs !== undefined && { killAfterMs }),
    });
  } catch (error) {
    copy.signal.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    throw new UsageError(`copy engine ${program} cannot be started (${code}): is regctl installed there?`);
  } finally {
    await file.close();
  }
}

function listFlags({ job, withReferrers }: EngineCopy): readonly string[] {
  const { platforms = 'all', isRepair = false } = job;
  // The empty one stands for images in an index that name no platform.
  const wanted = platforms === 'all' ? [] : [...platforms, ''];
  return [
    ...(withReferrers ? ['--referrers', '--digest-tags'] : []),
    ...(isRepair ? ['--force-recursive'] : []),
    ...wanted.flatMap((platform) => ['--platforms', platform]),
  ];
}

/**
 * An open file without a name, so that nothing is left behind however we end, and nobody can open it by name.
 * The engine opens its standard input by path, which works for files and not for the pipes of Node.
 */
async function createPrivateFile(folder: string, content: string): Promise<FileHandle> {
  const path = join(folder, `.backup-image-registry-${randomUUID()}`);
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx+', 0o600);
    await unlink(path);
    // By position: the offset, which a reader may inherit, stays at the start.
    await file.write(content, 0);
    return file;
  } catch (error) {
    await file?.close();
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    throw new UsageError(`no file can be created in ${folder} (${code}): mount a writable volume there`);
  }
}

function pickEnvironment(environment: EngineOptions['environment']): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of PASSED_ON.flatMap((upper) => [upper, upper.toLowerCase()])) {
    const value = environment[name];
    if (value) {
      picked[name] = value;
    }
  }
  return picked;
}

function isLongWait({ status, retryAfter }: FailedRequest): boolean {
  return status === 429 && retryAfter !== undefined && parseRetryAfterMs(retryAfter, 0) > LONGEST_WAIT_MS;
}

function describeMemory({ memoryExcess }: ProgramResult): string | undefined {
  return (
    memoryExcess && `makes the copy engine take too much memory (${Math.ceil(memoryExcess.bytes / MIB)} MiB)`
  );
}

/** It may well have room when others have ended. */
function createCrowdedError({ source }: CopyJob, { bytes }: MemoryExcess): RegistryError {
  const message =
    `copying ${formatReference(source)}: the copies that were made at the same time took too much memory, ` +
    `those for the same namespace the most (this one ${Math.ceil(bytes / MIB)} MiB)`;
  return new RegistryError(message, { reason: 'Unknown', side: 'source' });
}

interface EngineEnd {
  readonly copy: EngineCopy;
  readonly result: ProgramResult;
  readonly trace: RunTrace;
  /** The request that the engine was stopped for. */
  readonly decisive: FailedRequest | undefined;
}

/** The error to throw, without a secret; the abort reason when it was us who no longer wanted the copy. */
function describeEnd(end: EngineEnd, nowMs: number): unknown {
  const { source, copy } = end.copy.credentials;
  const secrets = [...listSecrets(source), ...listSecrets(copy)];
  return toSecretFree(describePlainEnd(end, secrets, nowMs), secrets);
}

function describePlainEnd(
  { copy, result, trace, decisive }: EngineEnd,
  secrets: readonly string[],
  nowMs: number,
): unknown {
  const { job, signal, timeoutMs } = copy;
  if (result.stopped === 'abort') {
    return signal.reason;
  }
  if (result.stopped === 'timeout') {
    return describeTimeout({ ...trace, job, timeoutMs, progress: copy.meter.read() });
  }
  if (decisive) {
    const only = { ...trace, failures: [decisive], finalText: '' };
    return describeFailedRun({ job, trace: only, exitCode: 1, secrets }, nowMs);
  }
  return describeFailedRun({ job, trace, exitCode: result.exitCode, secrets }, nowMs);
}
