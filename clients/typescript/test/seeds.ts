/** Chance that can be repeated: the same seed gives the same numbers. */
export function chance(seed: number): { below: (n: number) => number } {
  let state = (seed % 2_147_483_646) + 1;
  return {
    below: (n) => {
      state = (state * 48_271) % 2_147_483_647;
      return Math.floor((state / 2_147_483_647) * n);
    },
  };
}

/** Other seeds every time, or the one that is to be looked at again: PARLOR_SEED=123 npm run unit. */
export function seeds(count: number): number[] {
  const given = process.env["PARLOR_SEED"];
  if (given !== undefined) return [Number(given)];
  return Array.from({ length: count }, () => Math.floor(Math.random() * 1e9));
}
