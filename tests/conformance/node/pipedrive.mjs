// npm pipedrive, Pipedrive's own, unchanged against the mock alone.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { MOCK, RECORDS, check, done } from "./checks.mjs";

const require = createRequire(`${process.env.TOOLS}/node/`);
const v1 = require("pipedrive/v1");
const v2 = require("pipedrive/v2");

const make = (of, part, apiKey, path) => new of[part](new of.Configuration({ apiKey, basePath: `${MOCK}/pipedrive${path}` }));
const two = (part, key = "test-node") => make(v2, part, key, "/api/v2");
const one = (part, key = "demo-pipedrive-token") => make(v1, part, key, "/api/v1");
const stamp = `${Date.now()}`;

const parts = {
  Person: { api: "PersonsApi", many: "Persons", search: "searchPersons", key: "name" },
  Organization: { api: "OrganizationsApi", many: "Organizations", search: "searchOrganization", key: "name" },
  Deal: { api: "DealsApi", many: "Deals", search: "searchDeals", key: "title" },
};
for (const [name, { api, many, search, key }] of Object.entries(parts)) {
  await check(`${many}: every page`, async () => {
    const part = two(api, "demo-pipedrive-token");
    const ids = [];
    let cursor;
    do {
      const page = await part[`get${many}`]({ limit: 500, cursor });
      ids.push(...page.data.map(({ id }) => id));
      cursor = page.additional_data?.next_cursor ?? undefined;
    } while (cursor);
    assert.equal(`${ids.length} ${new Set(ids).size}`, `${RECORDS} ${RECORDS}`);
  });
  await check(`${many}: add, get, update, search, delete`, async () => {
    const part = two(api);
    const made = await part[`add${name}`]({ [`Add${name}Request`]: { [key]: "Zoë" } });
    assert.equal(`${made.success} ${made.data[key]}`, "true Zoë");
    const id = made.data.id;
    await part[`update${name}`]({ id, [`Update${name}Request`]: { [key]: `n${stamp}` } });
    assert.equal((await part[`get${name}`]({ id })).data[key], `n${stamp}`);
    const found = await part[search]({ term: `n${stamp}`, fields: key, exact_match: true });
    assert.deepEqual(found.data.items.map(({ item }) => item.id), [id]);
    assert.equal((await part[`delete${name}`]({ id })).data.id, id);
  });
}
await check("a deal's person and organisation", async () => {
  const person = (await two("PersonsApi").addPerson({ AddPersonRequest: { name: "A" } })).data.id;
  const firm = (await two("OrganizationsApi").addOrganization({ AddOrganizationRequest: { name: "B" } })).data.id;
  const deal = { title: "C", person_id: person, org_id: firm, value: 12.5, currency: "EUR" };
  const made = (await two("DealsApi").addDeal({ AddDealRequest: deal })).data;
  for (const [name, value] of Object.entries(deal)) assert.equal(made[name], value, name);
  const found = await two("DealsApi").getDeals({ person_id: person });
  assert.deepEqual(found.data.map(({ id }) => id), [made.id]);
});
await check("pipelines, stages, users, fields", async () => {
  const pipeline = (await two("PipelinesApi").getPipelines({})).data[0];
  const stages = (await two("StagesApi").getStages({ pipeline_id: pipeline.id })).data;
  assert.ok(pipeline.name && stages.length);
  const users = (await one("UsersApi").getUsers()).data;
  assert.ok(users[0].email);
  assert.equal((await one("UsersApi").getUser({ id: users[0].id })).data.id, users[0].id);
});
await check("errors", async () => {
  // This client throws the body.
  const refused = (says) => (body) => body.success === false && says.test(body.error);
  await assert.rejects(two("PersonsApi").getPerson({ id: 987654321 }), refused(/^Person not found/));
  await assert.rejects(two("PersonsApi").addPerson({ AddPersonRequest: { owner_id: "nobody" } }), refused(/^Validation failed/));
  await assert.rejects(two("PersonsApi", "nobody").getPersons({}), refused(/^unauthorized access/));
});

done();
