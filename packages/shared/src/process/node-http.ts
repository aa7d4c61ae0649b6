/**
 * Node's `http`, got as CommonJS gets it. An `import` of it looks at each of its exports, the WebSocket of undici among
 * them, which loads undici: 14 MB resident and some 60 ms. Types may be imported as usual.
 */
const http = process.getBuiltinModule('node:http');

export default http;
export const { Agent, createServer, request } = http;
