#!/usr/bin/env node
// Stands in for the executable that prisma-client-py downloads: the same HTTP interface, answered by the WASM query engine
// that the npm package @prisma/client carries, over node-postgres. For tests only.
//
//   query-engine.js --version
//   query-engine.js -p PORT …        with PRISMA_DML_PATH, and DATABASE_URL or OVERWRITE_DATASOURCES
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Schema, translate } = require('./graphql.js');
const { answer, lostDatabase, failure } = require('./answers.js');

// prisma-client-py 0.11 asks for exactly this build.
const BUILD = process.env.PRISMA_EXPECTED_ENGINE_VERSION || '393aa359c9ad4a4bb28630fb5613f9c281cde053';

if (process.argv.includes('--version')) {
  console.log(`query-engine ${BUILD}`);
  process.exit(0);
}

// Catalogue types that the driver adapter does not know are handed over as text: "char", name, name[], regclass, interval, void, …
const AS_TEXT = new Map([[18, 25], [19, 25], [705, 25], [1003, 1009], [1186, 25], [2205, 25], [2206, 25], [2249, 25], [2278, 25], [3220, 25]]);

function relabelColumns() {
  const Result = require('pg/lib/result');
  const original = Result.prototype.addFields;
  Result.prototype.addFields = function addFields(fields) {
    for (const field of fields) field.dataTypeID = AS_TEXT.get(field.dataTypeID) ?? field.dataTypeID;
    return original.call(this, fields);
  };
}

function databaseUrl() {
  const given = JSON.parse(process.env.OVERWRITE_DATASOURCES || '[]');
  return new URL(given[0]?.url || process.env.DATABASE_URL);
}

function loadWasm() {
  const runtime = path.join(__dirname, 'node_modules', '@prisma', 'client', 'runtime');
  const glue = require(path.join(runtime, 'query_engine_bg.postgresql.js'));
  const bytes = fs.readFileSync(path.join(runtime, 'query_engine_bg.postgresql.wasm'));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { './query_engine_bg.js': glue });
  glue.__wbg_set_wasm(instance.exports);
  return glue.QueryEngine;
}

class Engine {
  static async open() {
    relabelColumns();
    const url = databaseUrl();
    const { Pool } = require('pg');
    const { PrismaPg } = require('@prisma/adapter-pg');
    const { bindAdapter } = require('@prisma/driver-adapter-utils');
    const schemaName = url.searchParams.get('schema');
    const max = Number(url.searchParams.get('connection_limit') || 10);
    url.search = '';
    const pool = new Pool({ connectionString: url.href, max });
    // A connection that breaks while idle is no reason to end.
    pool.on('error', (error) => console.error(`connection: ${error.message}`));
    const adapter = bindAdapter(new PrismaPg(pool, schemaName ? { schema: schemaName } : undefined));
    const datamodel = fs.readFileSync(process.env.PRISMA_DML_PATH, 'utf8');
    const QueryEngine = loadWasm();
    const settings = {
      datamodel, datasourceOverrides: {}, env: {}, logQueries: false, logLevel: 'error', configDir: '.', engineProtocol: 'json',
    };
    const engine = new QueryEngine(settings, (line) => console.error(line), adapter);
    await engine.connect('{}');
    return new Engine(engine, new Schema(datamodel), url);
  }

  constructor(engine, schema, url) {
    this.engine = engine;
    this.schema = schema;
    this.host = url.hostname;
    this.port = Number(url.port || 5432);
  }

  async ask(body, transaction) {
    return JSON.parse(await this.engine.query(JSON.stringify(body), '{}', transaction));
  }

  async query(request, transaction) {
    if (Array.isArray(request.batch)) return this.batch(request, transaction);
    const { alias, query } = translate(request.query, this.schema);
    return lostDatabase(answer(await this.ask(query, transaction), alias), this.host, this.port);
  }

  async batch(request, transaction) {
    const parts = request.batch.map((one) => translate(one.query, this.schema));
    const body = { batch: parts.map((part) => part.query), transaction: request.transaction ? {} : undefined };
    const result = await this.ask(body, transaction);
    const answers = result.batchResult?.map((one, i) => answer(one, parts[i].alias));
    return lostDatabase(answers ? { ...result, batchResult: answers } : result, this.host, this.port);
  }

  async transaction(id, verb, text) {
    const said = verb === 'start' ? await this.engine.startTransaction(text, '{}')
      : verb === 'commit' ? await this.engine.commitTransaction(id, '{}') : await this.engine.rollbackTransaction(id, '{}');
    const result = JSON.parse(said || '{}');
    return result?.error_code ? { errors: [{ error: result.message, user_facing_error: result }] } : result;
  }

  async respond(method, where, headers, text) {
    if (method === 'GET') return where.startsWith('/metrics') ? { counters: [], gauges: [], histograms: [] } : { status: 'ok' };
    if (where === '/transaction/start') return this.transaction(undefined, 'start', text);
    const ends = /^\/transaction\/([^/]+)\/(commit|rollback)$/.exec(where);
    if (ends) return this.transaction(ends[1], ends[2], text);
    return this.query(JSON.parse(text), headers['x-transaction-id']);
  }
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

async function main() {
  const port = Number(process.argv[process.argv.indexOf('-p') + 1]);
  const engine = await Engine.open();
  const server = http.createServer(async (request, response) => {
    let result;
    try {
      result = await engine.respond(request.method, request.url, request.headers, await bodyOf(request));
    } catch (error) {
      console.error(error);
      result = failure(String(error?.message ?? error), 'P2009');
    }
    if (result.errors) console.error(JSON.stringify(result.errors));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(result));
  });
  server.keepAliveTimeout = 300_000;
  server.listen(port, 'localhost');
  // The gateway starts us and may be killed: an engine without its gateway has nothing to do.
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(0), 1000).unref();
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
