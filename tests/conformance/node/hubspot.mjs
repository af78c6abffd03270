// npm @hubspot/api-client, HubSpot's own, unchanged against the mock alone.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { MOCK, RECORDS, check, done } from "./checks.mjs";

const require = createRequire(`${process.env.TOOLS}/node/`);
const { Client } = require("@hubspot/api-client");

const client = (accessToken) => new Client({ accessToken, basePath: `${MOCK}/hubspot` });
const api = client("pat-demo-hubspot");
const own = client("pat-test-node");
const stamp = `${Date.now()}`;

for (const [name, key] of Object.entries({ contacts: "firstname", companies: "name", deals: "dealname" })) {
  const part = own.crm[name];
  await check(`${name}: every page`, async () => {
    const ids = (await api.crm[name].getAll(100)).map((record) => record.id);
    assert.equal(`${ids.length} ${new Set(ids).size}`, `${RECORDS} ${RECORDS}`);
  });
  await check(`${name}: create, read, update, search, archive`, async () => {
    const made = await part.basicApi.create({ properties: { [key]: "Zoë" }, associations: [] });
    assert.equal(made.properties[key], "Zoë");
    assert.ok(made.createdAt instanceof Date);
    await part.basicApi.update(made.id, { properties: { [key]: `n${stamp}` } });
    const read = await part.basicApi.getById(made.id, [key]);
    assert.equal(read.properties[key], `n${stamp}`);
    const found = await part.searchApi.doSearch({
      filterGroups: [{ filters: [{ propertyName: key, operator: "EQ", value: `n${stamp}` }] }],
      sorts: [], properties: [key], limit: 10, after: "0",
    });
    assert.equal(`${found.total} ${found.results[0].id}`, `1 ${made.id}`);
    await part.basicApi.archive(made.id);
    await assert.rejects(part.basicApi.getById(made.id), (error) => error.code === 404);
  });
}

await check("batch", async () => {
  const inputs = [0, 1, 2].map((n) => ({ properties: { name: `Batch ${n}` }, associations: [] }));
  const made = await own.crm.companies.batchApi.create({ inputs });
  const ids = made.results.map(({ id }) => ({ id }));
  const read = await own.crm.companies.batchApi.read({ inputs: ids, properties: ["name"], propertiesWithHistory: [] });
  assert.deepEqual(read.results.map((record) => record.properties.name).sort(), ["Batch 0", "Batch 1", "Batch 2"]);
  await own.crm.companies.batchApi.archive({ inputs: ids });
});
await check("associations", async () => {
  const person = await own.crm.contacts.basicApi.create({ properties: { firstname: "A" }, associations: [] });
  const deal = await own.crm.deals.basicApi.create({
    properties: { dealname: "B" },
    associations: [{ to: { id: person.id }, types: [{ associationCategory: "HUBSPOT_DEFINED", associationTypeId: 3 }] }],
  });
  const part = own.crm.associations.v4.basicApi;
  const page = await part.getPage("deals", deal.id, "contacts");
  assert.equal(String(page.results[0].toObjectId), person.id);
  const read = await own.crm.associations.v4.batchApi.getPage("deals", "contacts", { inputs: [{ id: deal.id }] });
  assert.equal(String(read.results[0].to[0].toObjectId), person.id);
  await part.archive("deals", deal.id, "contacts", person.id);
  assert.equal((await part.getPage("deals", deal.id, "contacts")).results.length, 0);
});
await check("owners, pipelines, properties", async () => {
  assert.ok((await api.crm.owners.ownersApi.getPage(undefined, undefined, 5)).results[0].email);
  assert.ok((await api.crm.pipelines.pipelinesApi.getAll("deals")).results[0].stages.length);
  assert.ok((await api.crm.properties.coreApi.getAll("contacts")).results.some(({ name }) => name === "email"));
});
await check("errors", async () => {
  const wrong = own.crm.contacts.basicApi.create({ properties: { no_such_property: "x" }, associations: [] });
  await assert.rejects(wrong, (error) => error.code === 400 && error.body.category === "VALIDATION_ERROR");
  await assert.rejects(client("nobody").crm.contacts.basicApi.getPage(), (error) => error.code === 401);
});

done();
