// npm @apideck/node; the second argument is the service.
import { createRequire } from "node:module";
import { Refused, serve } from "./lines.mjs";

const [, service] = process.argv.slice(2);
const require = createRequire(`${process.env.TOOLS}/node/`);
const { Apideck } = require("@apideck/node");
const { crm } = new Apideck({
  basePath: process.env.GATEWAY,
  apiKey: "sk_demo_crosswalk",
  appId: "demo-app",
  consumerId: `demo-${service}`,
});
const one = {
  companies: "company", contacts: "contact", opportunities: "opportunity", leads: "lead", pipelines: "pipeline", notes: "note", users: "user",
  activities: "activity",
};

async function call(verb, { resource }, given) {
  try {
    return JSON.parse(JSON.stringify(await crm[`${resource}${verb}`](given)));
  } catch (reply) {
    // This client throws the bare response.
    if (typeof reply?.json !== "function") throw reply;
    const body = await reply.json();
    throw new Refused(reply.status, body.type_name);
  }
}

await serve({
  knows: { resources: Object.keys(one), needed: {}, lacks: { leads: ["contact_id"] } },
  async *pages(asked) {
    const { pass_through: passThrough, ...query } = asked.query;
    let cursor;
    do {
      const page = await call("All", asked, { ...query, ...(passThrough && { passThrough }), cursor });
      yield page;
      cursor = page.meta.cursors.next ?? undefined;
    } while (cursor);
  },
  one: (asked) => call("One", asked, { id: asked.id }),
  create: (asked) => call("Add", asked, { [one[asked.resource]]: asked.body }),
  update: (asked) => call("Update", asked, { id: asked.id, [one[asked.resource]]: asked.body }),
  delete: (asked) => call("Delete", asked, { id: asked.id }),
});
