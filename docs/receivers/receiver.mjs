// A receiver of hookstream's requests: verifies each one, and stores it once.
//
//     WEBHOOK_SECRETS="whsec_..." PORT=8080 INBOX=inbox.tsv node receiver.mjs
//
// WEBHOOK_SECRETS holds one secret, or several with spaces between them while a secret is
// exchanged. Each delivery becomes one line of the inbox: webhook-id, webhook-timestamp, request
// target. The rest of your program works from there. Node.js 18 or later, no packages.

import { createHmac, timingSafeEqual } from "node:crypto";
import { fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { createServer } from "node:http";

const TOLERANCE_SECONDS = 300;

/** The key in a secret: base64, with or without `whsec_` in front. */
function decodeSecret(text) {
  const base64 = text.replace(/^whsec_/, "");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Error("a secret is not base64");
  return Buffer.from(base64, "base64");
}

/** Why a request is refused; empty if one of the keys has signed it within five minutes. */
function whyInvalid(keys, id, timestamp, signatures, target, now) {
  if (!id || !timestamp || !signatures) return "the request is not signed";
  if (!/^[0-9]{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) {
    return "the timestamp is not within five minutes of now";
  }
  const signed = Buffer.from(`${id}.${timestamp}."${target}"`, "latin1"); // they are bytes
  for (const key of keys) {
    const expected = Buffer.from("v1," + createHmac("sha256", key).update(signed).digest("base64"));
    for (const text of signatures.split(" ")) {
      const given = Buffer.from(text, "latin1");
      if (given.length === expected.length && timingSafeEqual(given, expected)) return "";
    }
  }
  return "no signature fits";
}

/**
 * A file with one line for each delivery. In a database: a table whose primary key is the id.
 *
 * One process writes it. An id is known if and only if its line is complete, also after a crash.
 */
class Inbox {
  constructor(path) {
    this.file = openSync(path, "a+");
    const text = readFileSync(path, "latin1");
    this.size = text.lastIndexOf("\n") + 1;
    ftruncateSync(this.file, this.size); // a crash may have left half a line
    const lines = text.slice(0, this.size).split("\n").slice(0, -1);
    this.ids = new Set(lines.map((line) => line.split("\t")[0]));
  }

  /** Write the delivery if it is new. Throws if the disk does not take it. */
  store(id, timestamp, target) {
    if (this.ids.has(id)) return;
    const line = Buffer.from(`${id}\t${timestamp}\t${target}\n`, "latin1");
    try {
      if (writeSync(this.file, line) !== line.length) throw new Error("the disk is full");
      fsyncSync(this.file);
    } catch (error) {
      ftruncateSync(this.file, this.size);
      throw error;
    }
    this.size += line.length;
    this.ids.add(id);
  }
}

const keys = (process.env.WEBHOOK_SECRETS ?? "").split(" ").filter(Boolean).map(decodeSecret);
if (keys.length === 0) {
  console.error("receiver: WEBHOOK_SECRETS is empty; set it to the hook's signing secret");
  process.exit(1);
}
const inbox = new Inbox(process.env.INBOX ?? "inbox.tsv");

/** Answers 204 if the delivery is in the inbox, 401 if it is refused, 500 to have it again. */
const server = createServer((request, response) => {
  const {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures,
  } = request.headers;
  request.resume(); // a GET has no body; whatever comes is dropped
  if (request.method !== "GET") return response.writeHead(405, { allow: "GET" }).end();
  // request.url is the target as received; Express's req.originalUrl is the same.
  const now = Date.now() / 1000;
  const reason = whyInvalid(keys, id, timestamp, signatures, request.url, now);
  if (reason) return response.writeHead(401).end(reason);
  try {
    inbox.store(id, timestamp, request.url);
  } catch (error) {
    return response.writeHead(500).end(error.message);
  }
  return response.writeHead(204).end();
});
server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
