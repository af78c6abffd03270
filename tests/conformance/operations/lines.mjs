// Answers lines of JSON with what a client says: {do, resource, id, body, place, query} -> {answer} or {refused} or {failed}.
import readline from "node:readline";

/** What a client refused, in the contract's own words. */
export class Refused extends Error {
  constructor(status, typeName) {
    super(`${status} ${typeName}`);
    this.told = { status, type_name: typeName };
  }
}

/** Serves a client until the input ends. `client.pages` gives an asynchronous iterator, all else one answer. */
export async function serve(client) {
  const pages = [];
  const answer = async (asked) => {
    switch (asked.do) {
      case "knows":
        return client.knows;
      case "pages":
        return pages.push(client.pages(asked)[Symbol.asyncIterator]()) - 1;
      case "next":
        return (await pages[asked.number].next()).value ?? null;
      default:
        return client[asked.do](asked);
    }
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let told;
    try {
      told = { answer: await answer(JSON.parse(line)) };
    } catch (error) {
      told = error instanceof Refused ? { refused: error.told } : { failed: `${error?.stack ?? error} ${error?.cause ?? ""}` };
    }
    process.stdout.write(`${JSON.stringify(told)}\n`);
  }
}

const convert = (key) => (value, name) => {
  if (Array.isArray(value)) return value.map((each) => convert(key)(each));
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Date || value.constructor.name === "RFCDate") return JSON.parse(JSON.stringify(value));
  // What a CRM or its customer has named stays as it is.
  if (name === "value" || name === "extend_object" || name === "extendObject") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [key(name), convert(key)(each, name)]));
};

/** Keys as the contract has them. */
export const snake = convert((name) => name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
/** Keys as the clients of JavaScript have them. */
export const camel = convert((name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase()));
