/**
 * Starts a program of the image. Its sources have their names still, but their types no more (see product-files.ts), so
 * that Node need not load what strips types.
 */
const { registerHooks } = require('node:module');

module.exports = (name) => {
  registerHooks({
    load: (url, context, nextLoad) => nextLoad(url, url.endsWith('.ts') ? { ...context, format: 'module' } : context),
  });
  void import(`/opt/tombolo/packages/${name}/src/main.ts`);
};
