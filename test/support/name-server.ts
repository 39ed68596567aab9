import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Processes } from './processes.ts';

/** Of this machine, and of nobody else. */
const ADDRESS = '127.0.0.77';
const A = 1;

export interface NameServer {
  /** Names under `.slow.test` that were asked for. */
  readonly slowNames: ReadonlySet<string>;
  /** A program, called like `node`, that runs Node with this server for all names. */
  readonly node: string;
  close(): Promise<void>;
}

/**
 * A name server that says of each name that it is this machine, and of those under `.slow.test`, three seconds later, that
 * there is no such name. Linux, and root: its port is 53, and who uses it gets a file system in which another
 * `/etc/resolv.conf` is mounted. It proves nothing about servers that never answer.
 */
export async function startNameServer(processes: Processes): Promise<NameServer> {
  const slowNames = new Set<string>();
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const name = readName(query);
    if (name.endsWith('.slow.test')) {
      slowNames.add(name);
      setTimeout(() => answer(query, from, 'unknown'), 3_000).unref();
    } else {
      answer(query, from, 'known');
    }
  });
  const answer = (query: Buffer, from: RemoteInfo, is: 'known' | 'unknown'): void => {
    if (!isClosed) {
      socket.send(is === 'known' ? toAnswer(query) : toUnknown(query), from.port, from.address);
    }
  };
  let isClosed = false;
  socket.bind(53, ADDRESS);
  await once(socket, 'listening');

  const folder = await processes.createFolder('names');
  const resolvConf = join(folder, 'resolv.conf');
  await writeFile(resolvConf, `nameserver ${ADDRESS}\noptions timeout:30 attempts:1\n`);
  const node = join(folder, 'node');
  const mounted = `mount --bind '${resolvConf}' /etc/resolv.conf && exec '${process.execPath}' "$@"`;
  await writeFile(
    node,
    `#!/bin/sh\nexec unshare --mount sh -c '${mounted.replaceAll("'", `'\\''`)}' node "$@"\n`,
    {
      mode: 0o755,
    },
  );
  return {
    slowNames,
    node,
    async close() {
      isClosed = true;
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** The name of the only question, which follows the header of 12 bytes. */
function readName(query: Buffer): string {
  const labels: string[] = [];
  for (let at = 12; (query[at] ?? 0) > 0; at += (query[at] ?? 0) + 1) {
    labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] ?? 0)));
  }
  return labels.join('.').toLowerCase();
}

/** Header and question, without what may follow. */
function readQuestion(query: Buffer): Buffer {
  return Buffer.from(query.subarray(0, query.indexOf(0, 12) + 5));
}

/** Flags and counts of an answer to one question. */
function toHeader(question: Buffer, { code, answers }: { code: number; answers: number }): Buffer {
  question.writeUInt16BE(0x8180 | code, 2);
  question.writeUInt16BE(answers, 6);
  question.writeUInt16BE(0, 8);
  question.writeUInt16BE(0, 10);
  return question;
}

function toUnknown(query: Buffer): Buffer {
  return toHeader(readQuestion(query), { code: 3, answers: 0 });
}

/** 127.0.0.1; there is no address of another type. */
function toAnswer(query: Buffer): Buffer {
  const question = readQuestion(query);
  if (question.readUInt16BE(question.length - 4) !== A) {
    return toHeader(question, { code: 0, answers: 0 });
  }
  const record = Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([toHeader(question, { code: 0, answers: 1 }), record]);
}
