// Turns answers of the JSON protocol into what prisma-client-py 0.11 expects of the native engine.
'use strict';

// Values come tagged with their type; the client wants them plain. `Json` stays text, which is what it parses.
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if ('$type' in value) return value.$type === 'BigInt' ? Number(value.value) : value.value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

// A cell of a raw row, in the older format.
function cell(type, value) {
  if (value === null || value === undefined) return { prisma__type: 'null', prisma__value: null };
  if (!type.endsWith('-array')) return { prisma__type: type, prisma__value: value };
  const inner = type.slice(0, -'-array'.length);
  return { prisma__type: 'array', prisma__value: value.map((item) => cell(inner, item)) };
}

function rawRows(table) {
  if (!Array.isArray(table?.rows) || !Array.isArray(table?.columns)) return table;
  return table.rows.map((row) => Object.fromEntries(table.columns.map((name, i) => [name, cell(table.types[i], row[i])])));
}

// The answer to one query, under the name the client gave it.
function answer(result, alias) {
  if (result.data === null || typeof result.data !== 'object') return result;
  const [name] = Object.keys(result.data);
  const value = result.data[name];
  return { ...result, data: { [alias]: name === 'queryRaw' ? rawRows(value) : plain(value) } };
}

// The driver adapter says of a lost database only that something outside failed; LiteLLM's handling of an outage
// wants to hear the words of the native engine.
function lostDatabase(result, host, port) {
  for (const error of result.errors ?? []) {
    if (!String(error.error).includes('external connector')) continue;
    const message = `Can't reach database server at \`${host}:${port}\``;
    error.error = message;
    error.user_facing_error = { is_panic: false, message, error_code: 'P1001', meta: { database_host: host, database_port: port } };
  }
  return result;
}

function failure(message, code) {
  return { errors: [{ error: message, user_facing_error: { is_panic: false, message, error_code: code, meta: {} } }] };
}

module.exports = { answer, lostDatabase, failure };
