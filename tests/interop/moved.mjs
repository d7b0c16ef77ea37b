// xmpp.js logs in where the server sends it (RFC 6120 §4.9.3.19).
//
// usage: moved.mjs DOMAIN PORT USER PASSWORD, with NODE_EXTRA_CA_CERTS set to the server's certificate
import { client } from "@xmpp/client";

const [domain, port, username, password] = process.argv.slice(2);
const xmpp = client({ service: `xmpp://localhost:${port}`, domain, username, password });
const late = setTimeout(() => process.exit(1), 20_000);
xmpp.on("error", (error) => console.error(`${error}`));
xmpp.on("online", async () => {
  clearTimeout(late);
  await xmpp.stop();
});
await xmpp.start().catch((error) => console.error(`${error}`));
