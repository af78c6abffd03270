// npm @apideck/unify, of the version that the first argument names; the second is the service.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Refused, camel, serve, snake } from "./lines.mjs";

const [name, service] = process.argv.slice(2);
const require = createRequire(`${process.env.TOOLS}/node/`);
const { Apideck } = require(name);
const errors = require(`${name}/models/errors`);
const { RFCDate } = require(`${name}/types/rfcdate.js`);
const strict = name !== "@apideck/unify";

const { crm } = new Apideck({
  serverURL: process.env.GATEWAY,
  apiKey: "sk_demo_crosswalk",
  appId: "demo-app",
  consumerId: `demo-${service}`,
});

const parts = {
  companies: [crm.companies, ["company1", "company"]],
  contacts: [crm.contacts, ["contact"]],
  opportunities: [crm.opportunities, ["opportunity"]],
  leads: [crm.leads, ["lead"]],
  pipelines: [crm.pipelines, ["pipeline"]],
  notes: [crm.notes, ["note"]],
  users: [crm.users, ["user"]],
  activities: [crm.activities, ["activity"]],
  lists: [crm.lists, []],
  "list-members": [crm.listMembers, []],
  "custom-object-schemas": [crm.customObjectSchemas, ["customObjectSchema"]],
  "custom-objects": [crm.customObjects, ["customObject"]],
};
const classes = {
  400: "BadRequestResponse", 401: "UnauthorizedResponse", 402: "PaymentRequiredResponse", 404: "NotFoundResponse", 422: "UnprocessableResponse",
};

async function call(method, given) {
  try {
    return await method(given);
  } catch (error) {
    const reply = error.httpMeta?.response;
    if (!reply) throw error;
    const told = JSON.parse(error.httpMeta.body);
    assert.equal(error.constructor.name, classes[reply.status] ?? "APIError");
    throw new Refused(reply.status, told.type_name);
  }
}

/** The typed body, in the keys of the contract. */
function body(result) {
  assert.equal(result.unexpectedErrorResponse, undefined);
  const names = Object.keys(result).filter((key) => /Response\d?$/.test(key));
  assert.equal(names.length, 1, Object.keys(result).join());
  const { raw, ...found } = snake(result[names[0]]);
  return raw === undefined ? found : { ...found, _raw: raw };
}

const place = ({ resource, place }) =>
  ({ "list-members": { id: place }, "custom-objects": { objectId: place, object_id: place } })[resource] ?? {};

function record({ resource, body }) {
  const record = camel(body);
  // The one field that clients of JavaScript hold as a date.
  if (record.closeDate) record.closeDate = strict ? new RFCDate(record.closeDate) : new Date(record.closeDate);
  return Object.fromEntries(parts[resource][1].map((key) => [key, record]));
}

const part = ({ resource }) => parts[resource][0];
await serve({
  knows: {
    resources: Object.keys(parts).filter((resource) => parts[resource][0]),
    custom_field_ids: strict,
    lacks: strict ? { leads: ["contact_id"] } : {},
    needed: {
      companies: ["name"], opportunities: ["title"], leads: ["name", "company_name"], users: ["emails"], activities: ["type"], pipelines: ["name"],
    },
  },
  async *pages(asked) {
    const { pass_through: passThrough, ...query } = asked.query;
    const given = { ...place(asked), ...camel(query), ...(passThrough && { passThrough }) };
    if (query.sort) given.sort = query.sort;
    const pages = await call((query) => part(asked).list(query), given);
    const iterator = pages[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await call(() => iterator.next());
      if (done) return;
      yield body(value);
    }
  },
  one: async (asked) => body(await call((given) => part(asked).get(given), { ...place(asked), id: asked.id })),
  create: async (asked) => body(await call((given) => part(asked).create(given), { ...place(asked), ...record(asked) })),
  update: async (asked) => body(await call((given) => part(asked).update(given), { ...place(asked), id: asked.id, ...record(asked) })),
  delete: async (asked) => body(await call((given) => part(asked).delete(given), { ...place(asked), id: asked.id })),
});
