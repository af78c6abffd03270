// npm @apideck/unify, unchanged and with its own defaults, against the demo. The argument names the package, so that
// its stricter ancestor (every null, type and enum is checked) runs through the same.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { GATEWAY, MOCK, RECORDS, SERVICES, check, done, fails, holds, mock } from "./checks.mjs";

const name = process.argv[2];
const require = createRequire(`${process.env.TOOLS}/node/`);
const { Apideck } = require(name);
const errors = require(`${name}/models/errors`);
const { RFCDate } = require(`${name}/types/rfcdate.js`);
const day = name === "@apideck/unify" ? (text) => new Date(text) : (text) => new RFCDate(text);

const client = (service, { key = "sk_demo_crosswalk", consumer } = {}) =>
  new Apideck({
    serverURL: GATEWAY,
    apiKey: key,
    appId: "demo-app",
    consumerId: consumer ?? (service ? `demo-${service}` : "demo-consumer"),
  });

const stamp = `${Date.now()}${process.pid}`;
const singular = { contacts: "contact", companies: "company1", opportunities: "opportunity" };
const writes = {
  contacts: {
    made: {
      firstName: "Zoë",
      lastName: "Ångström",
      emails: [{ email: `ts${stamp}@example.com`, type: "primary" }],
      phoneNumbers: [{ number: "+46 8 123 456", type: "mobile" }],
    },
    changed: { firstName: "Zoë", lastName: "Smith" },
    cleared: { phoneNumbers: [] },
    filter: { email: `ts${stamp}@example.com` },
  },
  companies: {
    made: { name: `日本 & Söhne ${stamp}` },
    changed: { name: `Renamed ${stamp}` },
    filter: { name: `日本 & Söhne ${stamp}` },
  },
  opportunities: {
    made: { title: `TS ${stamp}`, monetaryAmount: 7500, currency: "EUR", closeDate: day("2031-05-17") },
    changed: { title: `TS ${stamp}`, monetaryAmount: 12000, currency: "EUR" },
    cleared: { title: `TS ${stamp}`, closeDate: null },
    filter: { title: `TS ${stamp}` },
  },
};
const needed = {
  contacts: "id", companies: "id,name", opportunities: "id,title", users: "id,emails", pipelines: "id,name",
};

/** The typed body: whichever key the operation has for it. */
function body(result) {
  assert.equal(result.unexpectedErrorResponse, undefined, JSON.stringify(result.unexpectedErrorResponse));
  const names = Object.keys(result).filter((key) => /Response\d?$/.test(key));
  assert.equal(names.length, 1, Object.keys(result).join());
  return result[names[0]];
}

async function page(api, resource, query = {}) {
  for await (const result of await api.crm[resource].list(query)) return body(result);
}

for (const service of SERVICES) {
  const api = client(service);
  for (const resource of ["contacts", "companies", "opportunities", "users", "pipelines"]) {
    const here = `${service} ${resource}`;
    await check(`${here}: list with defaults, then one`, async () => {
      const found = await page(api, resource);
      assert.equal(`${found.statusCode} ${found.status}`, "200 OK");
      assert.equal(`${found.service} ${found.resource} ${found.operation}`, `${service} ${resource} all`);
      assert.ok(found.data.length > 0 && found.data.length <= 20);
      const one = body(await api.crm[resource].get({ id: found.data[0].id }));
      assert.equal(one.operation, "one");
      assert.deepEqual(one.data, found.data[0]);
    });
    await check(`${here}: raw`, async () => {
      const found = await page(api, resource, { raw: true, limit: 2 });
      assert.ok(found.raw ?? found.Raw ?? found["_raw"] ?? Object.keys(found).join().includes("aw"), Object.keys(found));
    });
    await check(`${here}: fields`, async () => {
      const found = await page(api, resource, { fields: needed[resource], limit: 3 });
      for (const record of found.data) {
        const names = Object.keys(record).filter((key) => record[key] !== undefined).sort();
        assert.deepEqual(names, needed[resource].split(",").sort());
      }
    });
  }

  for (const [resource, { made, changed, cleared, filter }] of Object.entries(writes)) {
    const here = `${service} ${resource}`;
    const part = api.crm[resource];
    const input = (record) => ({ [singular[resource]]: record, [resource.replace(/ies$/, "y").replace(/s$/, "")]: record });

    await check(`${here}: every page by for await`, async () => {
      const ids = [];
      let pages = 0;
      for await (const result of await part.list({ limit: 200 })) {
        ids.push(...body(result).data.map((record) => record.id));
        pages += 1;
      }
      assert.equal(ids.length, RECORDS);
      assert.equal(new Set(ids).size, RECORDS);
      assert.equal(pages, RECORDS / 200);
    });
    for (const direction of ["asc", "desc"]) {
      await check(`${here}: sort by created_at ${direction}`, async () => {
        const found = await page(api, resource, { sort: { by: "created_at", direction }, limit: 60 });
        const times = found.data.map((record) => record.createdAt.valueOf());
        assert.equal(times.length, 60);
        const sorted = [...times].sort((a, b) => (direction === "asc" ? 1 : -1) * (a < b ? -1 : a > b ? 1 : 0));
        assert.deepEqual(times, sorted);
        assert.notEqual(times[0], times.at(-1));
      });
    }

    let id;
    await check(`${here}: create`, async () => {
      const created = body(await part.create(input(made)));
      assert.equal(`${created.statusCode} ${created.operation}`, "201 add");
      id = created.data.id;
      assert.ok(id);
    });
    await check(`${here}: one reads what was created`, async () => {
      holds(body(await part.get({ id })).data, made);
    });
    await check(`${here}: filter`, async () => {
      assert.deepEqual((await page(api, resource, { filter })).data.map((record) => record.id), [id]);
    });
    await check(`${here}: update touches what it names`, async () => {
      const before = body(await part.get({ id })).data;
      const updated = body(await part.update({ id, ...input(changed) }));
      assert.equal(`${updated.statusCode} ${updated.operation} ${updated.data.id}`, `200 update ${id}`);
      const after = body(await part.get({ id })).data;
      holds(after, changed);
      for (const kept of ["emails", "phoneNumbers", "closeDate", "currency", "createdAt"]) {
        assert.deepEqual(after[kept], before[kept], kept);
      }
    });
    if (cleared) {
      await check(`${here}: an explicit null clears`, async () => {
        await part.update({ id, ...input(cleared) });
        const after = body(await part.get({ id })).data;
        assert.ok(after.closeDate == null && !after.phoneNumbers?.length, JSON.stringify(after));
      });
    }
    await check(`${here}: delete`, async () => {
      const deleted = body(await part.delete({ id }));
      assert.equal(`${deleted.operation} ${deleted.data.id}`, `delete ${id}`);
      await fails(errors.NotFoundResponse, { statusCode: 404, typeName: "EntityNotFoundError" }, () => part.get({ id }));
    });
  }

  await check(`${service}: BadRequestResponse`, async () => {
    await fails(errors.BadRequestResponse, { statusCode: 400, typeName: "RequestValidationError" }, () =>
      page(api, "contacts", { limit: 201 }),
    );
    const lacks = { hubspot: { name: "x" }, pipedrive: { firstName: "x" } }[service];
    await fails(errors.BadRequestResponse, { typeName: "UnsupportedFiltersError" }, () =>
      page(api, "contacts", { filter: lacks }),
    );
    await fails(errors.BadRequestResponse, { typeName: "InvalidCursorError" }, () =>
      page(api, "contacts", { cursor: "made-up" }),
    );
  });
  await check(`${service}: what the CRM cannot do is told at once`, async () => {
    const began = Date.now();
    const error = await fails(errors.APIError, {}, () => api.crm.users.delete({ id: "1" }));
    assert.equal((error.httpMeta?.response ?? error.rawResponse).status, 501);
    assert.ok(Date.now() - began < 5000, "the client tried again");
  });
  await check(`${service}: a write that may have happened is not sent again by a default client`, async () => {
    const path = { hubspot: "/crm/v3/objects/companies", pipedrive: "/api/v2/organizations" }[service];
    const posts = async () => (await mock("GET", `journal?vendor=${service}&method=POST&path=${path}`)).entries.length;
    await mock("POST", "faults", { kind: "drop_after", vendor: service, method: "POST", path, times: 1 });
    const before = await posts();
    const company = { name: `Once ${stamp}` };
    const error = await fails(errors.APIError, {}, () => api.crm.companies.create({ company1: company, company }));
    assert.equal((error.httpMeta?.response ?? error.rawResponse).status, 424);
    assert.equal((await posts()) - before, 1);
    const found = (await page(api, "companies", { filter: company })).data;
    assert.equal(found.length, 1);
    await api.crm.companies.delete({ id: found[0].id });
  });
  await check(`${service}: a read that fails is repeated by the client until it works`, async () => {
    const path = service === "pipedrive" ? "*/users" : "*/owners*";
    await mock("POST", "faults", { kind: "status", status: 500, vendor: service, method: "GET", path, times: 1 });
    assert.ok((await page(api, "users")).data.length);
    await mock("DELETE", "faults");
  });
}

await check("UnauthorizedResponse", () =>
  fails(errors.UnauthorizedResponse, { statusCode: 401, typeName: "UnauthorizedError" }, () =>
    page(client("hubspot", { key: "sk_wrong" }), "contacts"),
  ),
);
await check("UnprocessableResponse: several connections and no service id", () =>
  fails(errors.UnprocessableResponse, { statusCode: 422, typeName: "InvalidStateError" }, () => page(client(), "contacts")),
);
await check("NotFoundResponse: no connection", async () => {
  const lonely = client(undefined, { consumer: "lonely-consumer" });
  const error = await fails(errors.NotFoundResponse, { typeName: "ConnectionNotFoundError" }, () => page(lonely, "contacts"));
  assert.ok(error.message && error.detail && error.ref);
});
await check("a service id picks one", async () => {
  assert.equal((await page(client(), "contacts", { serviceId: "pipedrive", limit: 1 })).service, "pipedrive");
});
assert.ok(MOCK);

done();
