/** A part of `scripts/bench-space`. */

/** Something measured. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** What was aimed at. */
  atMost?: number;
}

export interface PartOptions {
  /** A folder for drives and mount points. The part leaves no mount in it. */
  folder: string;
  quick: boolean;
  /** Numbers of files to measure at; null for the part's own. */
  sizes: readonly number[] | null;
  /** Tells the person who waits how far it is. */
  say: (line: string) => void;
}

export interface SpacePart {
  name: string;
  what: string;
  run(options: PartOptions): Promise<Figure[]>;
}
