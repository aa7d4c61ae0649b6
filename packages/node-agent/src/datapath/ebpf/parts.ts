/** The slots of a large set are entries of `slots` (bpf/layout.h) by parts. */

/** How many of them are one part. */
export const SLOTS_A_PART = 16;

export const partOf = (slot: number): number => Math.floor(slot / SLOTS_A_PART);

/** How many parts so many slots take. */
export const partsOf = (slots: number): number => Math.ceil(slots / SLOTS_A_PART);
