// npm @apideck/node, unchanged against the demo: it sends all three headers, empty where unset, and partial updates.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { GATEWAY, RECORDS, SERVICES, check, done } from "./checks.mjs";

const require = createRequire(`${process.env.TOOLS}/node/`);
const { Apideck } = require("@apideck/node");

const client = (service, { apiKey = "sk_demo_crosswalk", consumerId = `demo-${service}` } = {}) =>
  new Apideck({ basePath: GATEWAY, apiKey, appId: "demo-app", consumerId }).crm;

/** This client throws the bare response. */
async function refused(status, typeName, call) {
  let reply;
  try {
    await call();
  } catch (error) {
    reply = error;
  }
  assert.equal(reply?.status, status, String(reply));
  const body = await reply.json();
  assert.equal(`${body.status_code} ${body.type_name}`, `${status} ${typeName}`);
}

const stamp = `${Date.now()}${process.pid}`;
const writes = {
  contacts: {
    one: "contact",
    made: { first_name: "Zoë", last_name: "Ångström", emails: [{ email: `old${stamp}@example.com`, type: "primary" }] },
    changed: { first_name: "Zoë", last_name: "Smith" },
    filter: { email: `old${stamp}@example.com` },
  },
  companies: {
    one: "company",
    made: { name: `Node ${stamp}` },
    changed: { phone_numbers: [{ number: "+1 555 0100", type: "primary" }] },
    filter: { name: `Node ${stamp}` },
  },
  opportunities: {
    one: "opportunity",
    made: { title: `Node ${stamp}`, monetary_amount: 7500, currency: "EUR" },
    changed: { monetary_amount: 12000, currency: "EUR" },
    filter: { title: `Node ${stamp}` },
  },
};

for (const service of SERVICES) {
  const crm = client(service);
  for (const resource of ["contacts", "companies", "opportunities", "users", "pipelines"]) {
    await check(`${service} ${resource}: list, one`, async () => {
      const page = await crm[`${resource}All`]({ limit: 5 });
      assert.equal(`${page.status_code} ${page.service} ${page.operation}`, `200 ${service} all`);
      const one = await crm[`${resource}One`]({ id: page.data[0].id });
      assert.deepEqual(one.data, page.data[0]);
    });
  }
  for (const [resource, { one, made, changed, filter }] of Object.entries(writes)) {
    await check(`${service} ${resource}: every page by cursor`, async () => {
      const ids = new Set();
      let cursor;
      let records = 0;
      do {
        const page = await crm[`${resource}All`]({ limit: 200, cursor });
        for (const record of page.data) ids.add(record.id);
        records += page.data.length;
        cursor = page.meta.cursors.next ?? undefined;
      } while (cursor);
      assert.equal(`${records} ${ids.size}`, `${RECORDS} ${RECORDS}`);
    });
    let id;
    await check(`${service} ${resource}: create, one, filter`, async () => {
      const created = await crm[`${resource}Add`]({ [one]: made });
      id = created.data.id;
      assert.equal(created.status_code, 201);
      const { data } = await crm[`${resource}One`]({ id });
      for (const [name, value] of Object.entries(made)) {
        if (typeof value !== "object") assert.equal(data[name], value);
      }
      const page = await crm[`${resource}All`]({ filter });
      assert.deepEqual(page.data.map((record) => record.id), [id]);
    });
    await check(`${service} ${resource}: an update in part`, async () => {
      if (service === "pipedrive" && resource === "companies") changed.phone_numbers = undefined;
      const before = (await crm[`${resource}One`]({ id })).data;
      assert.equal((await crm[`${resource}Update`]({ id, [one]: changed })).data.id, id);
      const after = (await crm[`${resource}One`]({ id })).data;
      for (const [name, value] of Object.entries(changed)) {
        if (Array.isArray(value)) assert.equal(after[name][0].number, value[0].number);
        else if (value !== undefined) assert.equal(after[name], value);
      }
      for (const name of ["emails", "title", "created_at"]) {
        if (!(name in changed)) assert.deepEqual(after[name], before[name], name);
      }
    });
    await check(`${service} ${resource}: delete`, async () => {
      assert.equal((await crm[`${resource}Delete`]({ id })).data.id, id);
      await refused(404, "EntityNotFoundError", () => crm[`${resource}One`]({ id }));
    });
  }
  await check(`${service}: sort, fields`, async () => {
    const page = await crm.contactsAll({ sort: { by: "created_at", direction: "desc" }, limit: 50, fields: "id,created_at" });
    const times = page.data.map((record) => Date.parse(record.created_at));
    assert.deepEqual(times, [...times].sort((a, b) => b - a));
    const known = Object.entries(page.data[0]).filter(([, value]) => value !== undefined);
    assert.deepEqual(known.map(([name]) => name).sort(), ["created_at", "id"]);
  });
}

await check("errors are told", async () => {
  await refused(401, "UnauthorizedError", () => client("hubspot", { apiKey: "sk_wrong" }).contactsAll());
  await refused(422, "InvalidStateError", () => client("", { consumerId: "demo-consumer" }).contactsAll());
  await refused(404, "ConnectionNotFoundError", () => client("", { consumerId: "lonely-consumer" }).contactsAll());
  await refused(400, "UnsupportedFiltersError", () => client("pipedrive").contactsAll({ filter: { first_name: "x" } }));
  await refused(501, "ConnectorOperationUnsupportedError", () => client("hubspot").usersAdd({ user: { emails: [{ email: "new@example.com" }] } }));
});

done();
