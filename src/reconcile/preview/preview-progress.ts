/** How far a preview is. An image is known of once a workload that wants it has been looked at. */
export interface PreviewProgress {
  readonly workloads: number;
  readonly images: number;
  readonly knownImages: number;
}

/** Counts workloads and images by their keys: both may be looked at more than once. */
export class ProgressCount {
  readonly #onProgress: (progress: PreviewProgress) => void;
  readonly #workloads = new Set<string>();
  readonly #images = new Set<string>();
  readonly #knownImages = new Set<string>();

  constructor(onProgress: (progress: PreviewProgress) => void) {
    this.#onProgress = onProgress;
  }

  addKnownImage(key: string): void {
    this.#knownImages.add(key);
  }

  addImage(key: string): void {
    this.#images.add(key);
    this.#tell();
  }

  addWorkload(key: string): void {
    this.#workloads.add(key);
    this.#tell();
  }

  #tell(): void {
    this.#onProgress({
      workloads: this.#workloads.size,
      images: this.#images.size,
      knownImages: this.#knownImages.size,
    });
  }
}
