import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';

/** A file that is not read, with what is the matter with it in place of the code that Node has for others. */
class UnfitFileError extends Error {
  override readonly name = 'UnfitFileError';
  readonly code: string;

  constructor(path: string, code: string) {
    super(`${path}: ${code}`);
    this.code = code;
  }
}

const MEBIBYTE = 1024 * 1024;
/** As much as a Secret, or a ConfigMap, can hold. */
const SMALL_FILE_BYTES = MEBIBYTE;
const CHUNK_BYTES = 64 * 1024;
/** Of a pipe, opening would otherwise wait for somebody who writes. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Text of a file that others may have put there: a pipe would keep us waiting, and a large one take our memory.
 *
 * @throws {Error} with a `code`: of Node, or `no regular file`, or `more than <n> MiB`.
 */
export async function readSmallFile(path: string): Promise<string> {
  const file = await open(path, FLAGS);
  try {
    checkKind(path, await file.stat());
    const content = createContent(path, SMALL_FILE_BYTES);
    for (let bytes = -1; bytes !== 0;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      ({ bytesRead: bytes } = await file.read(chunk));
      content.add(chunk.subarray(0, bytes));
    }
    return content.text();
  } finally {
    await file.close();
  }
}

/** The same, for what is read at the start. */
export function readSmallFileSync(path: string, limitBytes = SMALL_FILE_BYTES): string {
  const file = openSync(path, FLAGS);
  try {
    checkKind(path, fstatSync(file));
    const content = createContent(path, limitBytes);
    for (let bytes = -1; bytes !== 0;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      bytes = readSync(file, chunk);
      content.add(chunk.subarray(0, bytes));
    }
    return content.text();
  } finally {
    closeSync(file);
  }
}

/** Reading a folder fails by itself. */
function checkKind(path: string, stats: Stats): void {
  if (!stats.isFile() && !stats.isDirectory()) {
    throw new UnfitFileError(path, 'no regular file');
  }
}

function createContent(
  path: string,
  limitBytes: number,
): { readonly add: (chunk: Buffer) => void; readonly text: () => string } {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    add(chunk) {
      size += chunk.length;
      if (size > limitBytes) {
        throw new UnfitFileError(path, `more than ${limitBytes / MEBIBYTE} MiB`);
      }
      chunks.push(chunk);
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
}
