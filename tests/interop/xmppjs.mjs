// xmpp.js against the server: SASL2, Bind 2, FAST and stream management, each proved by what the server logged.
//
// usage: xmppjs.mjs DOMAIN PORT TLS_PORT LOG, with NODE_EXTRA_CA_CERTS set to the server's certificate
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { client, xml } from "@xmpp/client";

const [domain, port, tlsPort, log] = process.argv.slice(2);
const WAIT_MS_MAX = 20_000;

/** How many lines of the server's log have all these words. */
function logged(...words) {
  const lines = readFileSync(log, "utf8").split("\n");
  return lines.filter((line) => words.every((word) => line.split(" ").includes(word))).length;
}

/** Waits for one event, not for ever. */
function next(emitter, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} in ${WAIT_MS_MAX} ms`)), WAIT_MS_MAX);
    emitter.once(event, (value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

/** A network of one's own, that can swallow what is sent and break. */
class Network {
  constructor(to) {
    this.pairs = [];
    this.server = net.createServer((near) => {
      const far = net.connect(to, "127.0.0.1");
      for (const socket of [near, far]) socket.on("error", () => {});
      near.pipe(far).pipe(near);
      this.pairs.push([near, far]);
    });
  }

  async up() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this.server.address().port;
  }

  /** From here on everything is lost, in both directions. */
  swallow() {
    for (const [near, far] of this.pairs) {
      near.unpipe(far).resume();
      far.unpipe(near).resume();
    }
  }

  reset() {
    for (const socket of this.pairs.flat()) socket.resetAndDestroy();
    this.pairs = [];
  }
}

/** A client that keeps what it sent and got, and comes back only when told to. */
class Person {
  constructor(name, options) {
    this.name = name;
    this.options = options;
    this.sent = [];
    this.errors = [];
    this.bodies = [];
    this.ears = [];
  }

  async come() {
    const { scheme, secret, agent } = this.options;
    this.network = new Network(scheme === "xmpps" ? tlsPort : port);
    this.xmpp = client({
      service: `${scheme}://${domain}:${await this.network.up()}`, domain, timeout: WAIT_MS_MAX, username: this.name,
      resource: "xmppjs", userAgent: xml("user-agent", { id: agent }, xml("software", {}, "xmpp.js")), ...secret,
    });
    this.xmpp.reconnect.stop();
    this.xmpp.on("error", (error) => this.errors.push(error));
    this.xmpp.on("send", (element) => this.sent.push(element));
    this.xmpp.on("element", (element) => element.is("success", "urn:xmpp:sasl:2") && (this.success = element));
    this.xmpp.on("stanza", (stanza) => {
      const body = stanza.is("message") && stanza.getChildText("body");
      if (!body) return;
      this.bodies.push(body);
      for (const ear of this.ears) ear();
    });
    await this.xmpp.start();
    await this.xmpp.send(xml("presence"));
    return this;
  }

  async say(to, ...bodies) {
    for (const body of bodies) {
      if (!this.xmpp.socket) throw this.errors[0] ?? new Error(`${this.name} is not connected`);
      await this.xmpp.send(xml("message", { to: `${to}@${domain}`, type: "chat" }, xml("body", {}, body)));
    }
  }

  /** Returns when the server has acknowledged everything, that is: is answerable for it. */
  async acknowledged() {
    while (this.xmpp.streamManagement.outbound_q.length > 0) await next(this.xmpp.streamManagement, "ack");
  }

  /** Everything heard so far, once it is as much as this; then exactly this. */
  async heard(...bodies) {
    let timer;
    await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.name} heard only ${this.bodies}`)), WAIT_MS_MAX);
      const listen = () => this.bodies.length >= bodies.length && resolve();
      this.ears.push(listen);
      listen();
    }).finally(() => clearTimeout(timer));
    assert.deepEqual(this.bodies, bodies, `what ${this.name} heard`);
  }

  async cut() {
    const gone = next(this.xmpp, "disconnect");
    this.network.reset();
    await gone;
  }

  /** What its latest request to log in asked for. */
  asked(name) {
    return this.sent.findLast((element) => element.is("authenticate", "urn:xmpp:sasl:2"))?.getChild(name);
  }

  async comeBack() {
    const resumed = next(this.xmpp.streamManagement, "resumed");
    await this.xmpp.reconnect.reconnect();
    await resumed;
    assert.ok(this.asked("fast") && this.asked("resume"), "one request: the token and resumption within SASL2");
    assert.ok(this.success.getChild("resumed", "urn:xmpp:sm:3"), "and granted there");
    assert.ok(!this.success.getChild("bound", "urn:xmpp:bind:0"), "instead of a new session");
  }

  async go() {
    await this.xmpp.stop();
    this.network.server.close();
  }
}

const AGENT = { romeo: "d4565fa7-4d72-4749-b3d3-740edbf87770", juliet: "0a2f9e5a-91c9-4d1e-8c7e-3b0d40f0b1c5" };
const FAST = "mechanism=HT-SHA-256-NONE";

async function firstLogin() {
  const romeo = new Person("romeo", { scheme: "xmpps", agent: AGENT.romeo, secret: { password: "secret of romeo" } });
  await romeo.come();
  assert.ok(romeo.asked("bind") && romeo.asked("request-token"), "Bind 2 and a token are asked for within SASL2");
  const bound = romeo.success.getChild("bound", "urn:xmpp:bind:0");
  assert.ok(bound.getChild("enabled", "urn:xmpp:sm:3").attrs.id, "stream management is enabled within Bind 2");
  assert.match(romeo.xmpp.jid.resource, /^xmppjs/, "the tag is in the resource");
  const token = await romeo.xmpp.fast.fetchToken();
  assert.equal(token.mechanism, "HT-SHA-256-NONE");
  assert.equal(logged("login.ok", "account=romeo@localhost", FAST), 0);
  return { romeo, token };
}

async function loginWithToken(token) {
  const secret = { credentials: { username: "romeo", token } }; // and no password
  const romeo = await new Person("romeo", { scheme: "xmpps", agent: AGENT.romeo, secret }).come();
  assert.ok(romeo.asked("fast"), "FAST is what it logged in with");
  assert.equal(logged("login.ok", "account=romeo@localhost", FAST), 1);
  return romeo;
}

async function talk(romeo, juliet) {
  await romeo.say("juliet", "Good morrow");
  await juliet.heard("Good morrow");
  await juliet.say("romeo", "Ay me");
  await romeo.heard("Ay me");
}

/** What the network swallowed, either way, and what was said meanwhile arrives once and in order. */
async function loseNothing(one, other) {
  const [before, otherBefore] = [one.bodies.slice(), other.bodies.slice()];
  await one.acknowledged();
  const resumed = logged("session.resumed", `jid=${one.xmpp.jid}`);
  one.network.swallow();
  await one.say(other.name, "swallowed 1", "swallowed 2", "swallowed 3");
  await other.say(one.name, "never came 1", "never came 2");
  await other.acknowledged();
  await one.cut();
  await other.say(one.name, "while away 1", "while away 2");
  await other.acknowledged();
  await one.comeBack();
  assert.equal(logged("session.resumed", `jid=${one.xmpp.jid}`), resumed + 1);
  await one.say(other.name, "back");
  await other.heard(...otherBefore, "swallowed 1", "swallowed 2", "swallowed 3", "back");
  await other.say(one.name, "welcome");
  await one.heard(...before, "never came 1", "never came 2", "while away 1", "while away 2", "welcome");
}

const { romeo: stranger, token } = await firstLogin();
await stranger.go();
console.log("   password once, by SASL2 and Bind 2, token fetched: ok");
const romeo = await loginWithToken(token);
const secret = { password: "secret of juliet" };
const juliet = await new Person("juliet", { scheme: "xmpp", agent: AGENT.juliet, secret }).come();
await talk(romeo, juliet);
console.log("   the token alone, messages both ways: ok");
await loseNothing(romeo, juliet);
await loseNothing(juliet, romeo);
console.log("   resumed after a reset by one request, with direct TLS and STARTTLS, nothing lost or doubled: ok");
for (const person of [romeo, juliet]) {
  await person.go();
  assert.ok(person.errors.every((error) => error.code === "ECONNRESET"), `more than resets: ${person.errors}`);
}
