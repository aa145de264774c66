import type Hypercore from 'hypercore';

/** Notes the blocks that are read from the store. */
export function countReads(core: Hypercore): { batches: number; blocks: number[] } {
  const reads = { batches: 0, blocks: [] as number[] };
  const storage = core.state?.storage;
  if (storage === null || storage === undefined) throw new Error('The log is closed');
  const read = storage.read.bind(storage);
  storage.read = () => {
    const batch = read();
    const getBlock = batch.getBlock.bind(batch);
    reads.batches++;
    batch.getBlock = (index) => {
      reads.blocks.push(index);
      return getBlock(index);
    };
    return batch;
  };
  return reads;
}
