/* Azurite's tables find a row by its two keys, however many rows there are.

Azurite 3.36 keeps a table in a LokiJS collection with an index for each key, looks a row up among all rows that have its
RowKey, and finds the places of an updated row in both indexes by walking them. In a task hub every instance has the
same row keys: each write becomes slower with each instance that was ever run. Azure's own tables do not.

`node --require` loads this before Azurite. It gives the collection of a table one map from both keys to the row in the
place of the two indexes, and has `findOne` ask it. Nothing else in Azurite uses them: its queries look at every row. A
file that was saved so can be read by an Azurite without this.

Rejected: only to look in the smaller one of the two indexes, because their upkeep grows with the table too. */

const { Collection } = require("lokijs");

const KEYS = ["PartitionKey", "RowKey"];
const TABLE = /^[^$]+\$[^$]+$/; // account$table; what is no table has a name that begins with $
const maps = new WeakMap();

const keyOf = (row) => `${row.PartitionKey.length} ${row.PartitionKey}${row.RowKey}`;

/** The rows of a table by both keys, made when the first row is looked for: every write begins with that. */
function rowsByKey(collection) {
  if (!maps.has(collection)) {
    const rows = new Map(collection.data.map((row) => [keyOf(row), row]));
    collection.binaryIndices = {};
    collection.on(["insert", "update"], (row) => rows.set(keyOf(row), row));
    collection.on("delete", (row) => rows.delete(keyOf(row)));
    maps.set(collection, rows);
  }
  return maps.get(collection);
}

const findOne = Collection.prototype.findOne;

Collection.prototype.findOne = function (query) {
  const byKeys = TABLE.test(this.name) && query && KEYS.every((key) => typeof query[key] === "string");
  return byKeys && Object.keys(query).length === KEYS.length
    ? (rowsByKey(this).get(keyOf(query)) ?? null)
    : findOne.call(this, query);
};
