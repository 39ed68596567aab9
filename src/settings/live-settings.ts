import type { Logger } from 'pino';

import { UsageError } from '../errors.ts';
import { type Settings, parseSettings } from './settings.ts';

export interface LiveSettingsOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

export interface SettingsHandlers {
  /** `before` is undefined for the first settings. After a refused edit that was taken back both are the same. */
  readonly onChanged: (now: Settings, before: Settings | undefined) => void;
  /** `problem` names every bad key; the last good settings stay. */
  readonly onRefused: (problem: string) => void;
}

const NOBODY: SettingsHandlers = { onChanged: () => undefined, onRefused: () => undefined };

/** The settings in force: all of an edit of the ConfigMap or nothing of it. */
export class LiveSettings {
  readonly #options: LiveSettingsOptions;
  #handlers = NOBODY;
  #settings: Settings | undefined;
  #problem: string | undefined;

  constructor(options: LiveSettingsOptions) {
    this.#options = options;
  }

  /** @throws {Error} before the first valid settings: nothing that needs them may have been started. */
  get current(): Settings {
    if (!this.#settings) {
      throw new Error('settings are used before they are known');
    }
    return this.#settings;
  }

  get isKnown(): boolean {
    return this.#settings !== undefined;
  }

  /** What is wrong with the newest ConfigMap; undefined when it is in force. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** From now on these are told. */
  listen(handlers: SettingsHandlers): void {
    this.#handlers = handlers;
  }

  /** Takes the data of the ConfigMap; undefined when there is none (deleted: the last good settings stay). */
  apply(configMapData: Readonly<Record<string, string>> | undefined): void {
    if (configMapData === undefined && this.#settings) {
      this.#options.log.warn('ConfigMap deleted, the last good settings stay');
      return;
    }
    try {
      const settings = parseSettings(configMapData ?? {}, this.#options.environment);
      const before = this.#settings;
      const isNews = this.#problem !== undefined || JSON.stringify(settings) !== JSON.stringify(before);
      this.#settings = settings;
      this.#problem = undefined;
      if (isNews) {
        this.#handlers.onChanged(settings, before);
      }
    } catch (error) {
      if (!(error instanceof UsageError)) {
        throw error;
      }
      if (error.message !== this.#problem) {
        this.#problem = error.message;
        this.#handlers.onRefused(error.message);
      }
    }
  }
}
