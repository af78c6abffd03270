// Counts checks that hold and checks that do not.
import assert from "node:assert/strict";

export const GATEWAY = process.env.GATEWAY;
export const MOCK = process.env.MOCK;
export const SERVICES = ["hubspot", "pipedrive"];
export const RECORDS = 2000;

let passed = 0;
let failed = 0;

/** One check: it holds unless it throws. */
export async function check(name, body) {
  try {
    await body();
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`FAILED: ${name}\n${error?.stack ?? error}`);
    if (error?.cause) console.log("cause:", error.cause);
  }
}

/** The call must fail with that class and these values. */
export async function fails(kind, expected, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.constructor, kind, `${error.constructor.name}: ${error.message}`);
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(error[name], value, name);
    return error;
  }
  assert.fail(`no ${kind.name}`);
}

/** A call of the mock's controls. */
export async function mock(method, path, body) {
  const reply = await fetch(`${MOCK}/__mock/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.equal(reply.status, 200);
  return reply.json();
}

/** Prints the sum and ends the program. */
export function done() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

/** The record, as far as the sample goes; dates by their day. */
export function holds(record, sample, path = "") {
  for (const [name, value] of Object.entries(sample)) {
    const found = record?.[name];
    if (value instanceof Date || value?.constructor?.name === "RFCDate") {
      assert.equal(JSON.stringify(found)?.slice(1, 11), JSON.stringify(value).slice(1, 11), `${path}/${name}`);
    } else if (value !== null && typeof value === "object") {
      holds(found, value, `${path}/${name}`);
    } else {
      assert.equal(found, value, `${path}/${name}`);
    }
  }
}
