// Lets the harness ask a library of Node's: reads commands, makes the calls, and says what became of them.

import { createInterface } from 'node:readline';

/** What a library says by an error that a program can tell from others: the user has to sign in again. */
export const isDead = (code) => typeof code === 'string' && /^(invalid_grant|bad_refresh_token|invalid_refresh_token)$/.test(code);

/**
 * Serves the harness until it closes the input. A library has `call({ method, url, body, signal })`, which gives
 * a status, `debug()`, and `ended(error)`.
 */
export async function serve(build) {
  // Standard output is the harness's, and some libraries write there.
  for (const name of ['log', 'warn', 'info', 'debug']) console[name] = (...said) => console.error(...said);
  let library;
  let api;
  let started;
  const requestOf = ({ method = 'GET', path = '/orders' }) => ({
    method,
    url: api + path,
    body: method === 'POST' ? '{"order":42}' : undefined,
  });
  const outcome = async (command) => {
    const began = performance.now();
    const ms = () => Math.round(performance.now() - began);
    try {
      return { status: await library.call(requestOf(command)), ms: ms() };
    } catch (error) {
      return { error: String(error), ended: Boolean(library.ended?.(error)), ms: ms() };
    }
  };
  const answers = {
    async setup(command) {
      api = command.api;
      try {
        library = await build(command);
        return {};
      } catch (error) {
        return { cannot: String(error.message) };
      }
    },
    async call(command) {
      const calls = Array.from({ length: command.count }, () => outcome(command));
      return { calls: await Promise.all(calls) };
    },
    start(command) {
      started = new AbortController();
      library.call({ ...requestOf(command), signal: started.signal }).catch(() => {});
      return {};
    },
    drop() {
      started.abort();
      return { dropped: true };
    },
    debug: () => ({ text: library.debug() }),
    headers: () => ({ can: false }),
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    const answer = await answers[command.do](command);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}
