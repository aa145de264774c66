/**
 * A peer in a process of its own, which can be stopped. It replicates a store over Hyperswarm's own connections, as it does
 * not speak of TCP. Arguments: the folder of the store, the port of the bootstrap node, and the topic in hex.
 */
import Corestore from 'corestore';
import Hyperswarm from 'hyperswarm';

const [folder = '', port = '', topic = ''] = process.argv.slice(2);
const store = new Corestore(folder);
const log = store.get({ name: 'log' });
await log.append(Buffer.from('x'));
const swarm = new Hyperswarm({ bootstrap: [{ host: '127.0.0.1', port: Number(port) }] });
swarm.on('connection', (connection) => {
  connection.on('error', () => undefined);
  store.replicate(connection);
});
await swarm.join(Buffer.from(topic, 'hex')).flushed();
process.stdout.write(`${log.key.toString('hex')}\n`);
