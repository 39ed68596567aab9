/** What is the same for every event of one reason. */
export interface EventEntry {
  /** `Normal` asks for nothing. */
  readonly type: 'Normal' | 'Warning';
  /** What the controller did or tried. */
  readonly action: 'CopyImage' | 'SwapImage' | 'RestoreImage' | 'ReloadConfig' | 'ReadWorkloads';
  /** The object that it is about: a workload, or the ConfigMap with the settings. */
  readonly about: 'workload' | 'ConfigMap';
  /** What happened, then what that means for the pods; in whole sentences. */
  readonly meaning: string;
  /** What to do, or that nothing has to be done; in whole sentences. */
  readonly remedy: string;
}

/** Events by their reason. */
export type EventEntries = Readonly<Record<string, EventEntry>>;
