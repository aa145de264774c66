/** Who makes room when all places for peers are taken. */

/** A connected peer. */
export interface Place {
  /** Where it comes from; null when that is not known. */
  readonly host: string | null;
  /** It has proved that it knows a log that is here. */
  readonly isProven: boolean;
}

/**
 * The peer that makes room for one from `host`, or null when the new one is turned away. `places` in the order in which
 * the peers came.
 *
 * Who has proved nothing goes first. Identities cost nothing and addresses do, so then one from the address with the most
 * peers makes room for one from an address that has at least two fewer: nobody can take all places from one address, those
 * behind one address share what is left fairly with the others, and nobody loses a place as long as there is one. The one
 * that came last goes: peers known for long stay.
 */
export function whoMakesRoom<P extends Place>(places: Iterable<P>, host: string | null): P | null {
  const counts = new Map<string | null, number>();
  const newest = new Map<string | null, P>();
  for (const place of places) {
    if (!place.isProven) return place;
    counts.set(place.host, (counts.get(place.host) ?? 0) + 1);
    newest.set(place.host, place);
  }
  let crowded: string | null = null;
  let most = 0;
  for (const [each, count] of counts) {
    if (count > most) {
      crowded = each;
      most = count;
    }
  }
  if (most < (counts.get(host) ?? 0) + 2) return null;
  return newest.get(crowded) ?? null;
}
