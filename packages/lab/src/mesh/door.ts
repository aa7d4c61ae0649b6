/**
 * `door.ts SOCKET HOST PORT` runs where HOST can be reached and opens a unix socket to it: a way in for those who are in
 * another network namespace, or stay when all links are cut.
 */
import { connect } from 'node:net';
import { passConnections } from './pass-connections.ts';

const [socketPath = '', host = '', port = ''] = process.argv.slice(2);
passConnections(() => connect(Number(port), host)).listen(socketPath);
