// Reads the small part of GraphQL that prisma-client-py writes, and turns it into the JSON protocol of Prisma 5.
'use strict';

// What an operation may begin with; the rest of its name is the model. Longer names stand before their own beginnings.
const ACTIONS = [
  'findUniqueOrThrow', 'findUnique', 'findFirstOrThrow', 'findFirst', 'findMany',
  'createManyAndReturn', 'createMany', 'createOne', 'updateMany', 'updateOne', 'upsertOne', 'deleteMany', 'deleteOne',
  'aggregate', 'groupBy', 'queryRaw', 'executeRaw',
];

class Document {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  fail(what) {
    throw new Error(`expected ${what} at character ${this.at} of the query`);
  }

  // The next character that means something.
  peek() {
    while (this.at < this.text.length) {
      const c = this.text[this.at];
      if (c === '#') this.at = (this.text.indexOf('\n', this.at) + 1) || this.text.length;
      else if (c === ',' || c === ' ' || c === '\n' || c === '\t' || c === '\r' || c === '\ufeff') this.at += 1;
      else return c;
    }
    return '';
  }

  skip(c) {
    if (this.peek() !== c) return false;
    this.at += 1;
    return true;
  }

  need(c) {
    if (!this.skip(c)) this.fail(`\`${c}\``);
  }

  match(pattern, what) {
    this.peek();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) this.fail(what);
    this.at = pattern.lastIndex;
    return found[0];
  }

  name() {
    return this.match(/[A-Za-z_]\w*/y, 'a name');
  }

  value() {
    const c = this.peek();
    if (c === '"') return this.string();
    if (c === '[') return this.list();
    if (c === '{') return this.fields('{', '}');
    if (c === '-' || (c >= '0' && c <= '9')) return this.number();
    const word = this.name();
    if (word === 'null') return null;
    return word === 'true' || (word === 'false' ? false : word);
  }

  string() {
    const written = this.match(/"(?:[^"\\]|\\[^])*"/y, 'a string');
    // The client leaves line ends as they are; JSON wants them escaped.
    return JSON.parse(written.replace(/[\x00-\x1f]/g, (c) => JSON.stringify(c).slice(1, -1)));
  }

  number() {
    const written = this.match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y, 'a number');
    const number = Number(written);
    const exact = !Number.isInteger(number) || Number.isSafeInteger(number);
    return exact ? number : { $type: 'BigInt', value: written };
  }

  list() {
    const items = [];
    this.need('[');
    while (!this.skip(']')) items.push(this.value());
    return items;
  }

  // `name: value` pairs between two brackets.
  fields(open, close) {
    const found = {};
    this.need(open);
    while (!this.skip(close)) {
      const name = this.peek() === '"' ? this.string() : this.name();
      this.need(':');
      found[name] = this.value();
    }
    return found;
  }

  args() {
    return this.peek() === '(' ? this.fields('(', ')') : undefined;
  }

  selection() {
    const wanted = {};
    this.need('{');
    while (!this.skip('}')) {
      const name = this.name();
      const args = this.args();
      const below = this.peek() === '{' ? this.selection() : undefined;
      wanted[name] = args === undefined && below === undefined ? true : { arguments: args ?? {}, selection: below ?? {} };
    }
    return wanted;
  }

  operation() {
    if (this.peek() !== '{') this.name();
    this.need('{');
    let alias = this.name();
    const operation = this.skip(':') ? this.name() : alias;
    const args = this.args() ?? {};
    const selection = this.peek() === '{' ? this.selection() : {};
    this.need('}');
    return { alias, operation, args, selection };
  }
}

// Column types by model: GraphQL takes text for a `Json` column, and the JSON protocol wants to be told that it is JSON.
class Schema {
  constructor(text) {
    this.models = new Map();
    let model;
    for (const line of text.split('\n')) {
      const begins = /^model\s+(\w+)/.exec(line);
      const column = /^\s+(\w+)\s+(\w+)/.exec(line);
      if (begins) this.models.set(begins[1], (model = new Map()));
      else if (line.startsWith('}')) model = undefined;
      else if (model && column) model.set(column[1], column[2]);
    }
  }

  // The arguments, with each value of a `Json` column marked as such.
  marked(value, model) {
    if (Array.isArray(value)) return value.map((item) => this.marked(item, model));
    if (value === null || typeof value !== 'object' || '$type' in value) return value;
    const columns = this.models.get(model);
    const done = {};
    for (const [name, inner] of Object.entries(value)) {
      const type = columns?.get(name);
      if (type === 'Json' && typeof inner !== 'number') done[name] = asJson(inner);
      else done[name] = this.marked(inner, this.models.has(type) ? type : model);
    }
    return done;
  }
}

// A `Json` value, or a filter on one: only what is compared is JSON, the path to it is not.
function asJson(value) {
  if (value === null || value === 'JsonNull' || value === 'DbNull' || value === 'AnyNull' || value === 'asc' || value === 'desc') return value;
  if (typeof value === 'string') return { $type: 'Json', value };
  if (Array.isArray(value)) return value.map(asJson);
  const done = {};
  for (const [name, inner] of Object.entries(value)) {
    const plain = name === 'path' || name === 'mode' || name.startsWith('string_') || typeof inner === 'boolean';
    done[name] = plain ? inner : asJson(inner);
  }
  return done;
}

// One GraphQL text as the name its answer must have, and the query of the JSON protocol.
function translate(text, schema) {
  const { alias, operation, args, selection } = new Document(text).operation();
  const action = ACTIONS.find((known) => operation.startsWith(known));
  if (action === undefined) throw new Error(`the operation ${operation} is not known here`);
  const modelName = operation.slice(action.length) || undefined;
  const query = { arguments: modelName ? schema.marked(args, modelName) : args, selection };
  return { alias, query: { modelName, action, query } };
}

module.exports = { Document, Schema, translate };
