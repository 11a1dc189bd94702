// node schema.mjs COUNT: the schema of @neo4j/graphql for COUNT types of six properties and two relationships.
import { Neo4jGraphQL } from "@neo4j/graphql";
import neo4j from "neo4j-driver";

const count = Number(process.argv[2]);
const type = (n) => `
type Kind${n} @node {
  dtId: ID!
  name: String
  speed: Float
  count: Int
  on: Boolean
  since: DateTime
  feeds: [Kind${(n + 1) % count}!]! @relationship(type: "feeds", direction: OUT)
  partOf: [Kind${(n + 7) % count}!]! @relationship(type: "partOf", direction: OUT)
}`;
const typeDefs = Array.from({ length: count }, (_, n) => type(n)).join("\n");
const old = ["mutationOperations", "aggregationFilters", "aggregationFiltersOutsideConnection", "relationshipFilters", "attributeFilters"];
const features = { excludeDeprecatedFields: Object.fromEntries(old.map((name) => [name, true])) };
const driver = neo4j.driver("bolt://127.0.0.1:1");
const before = process.memoryUsage().rss;
const started = process.cpuUsage();
const schema = await new Neo4jGraphQL({ typeDefs, driver, features }).getSchema();
const used = process.cpuUsage(started);
const types = Object.keys(schema.getTypeMap()).length;
console.log(JSON.stringify({ types, seconds: (used.user + used.system) / 1e6, megabytes: (process.memoryUsage().rss - before) / 1024 ** 2 }));
await driver.close();
