// MSAL for Node against the stand-in. Usage: node judge.mjs CLOUD_JSON MODULES
import { createRequire } from "node:module";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const require = createRequire(`${process.argv[3]}/`);
const { ConfidentialClientApplication, CryptoProvider } = require("@azure/msal-node");
const cloud = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { sync, setup } = cloud.applications;
const tenant = cloud.tenants[0].id;
const admin = cloud.accounts[0];
const done = (text) => console.log(`ok   ${text}`);
const host = new URL(cloud.base).host;

const client = (application, credential) =>
  new ConfidentialClientApplication({
    auth: { clientId: application.client_id, authority: `${cloud.base}/${tenant}`, knownAuthorities: [host], ...credential },
  });

const secret = await client(sync, { clientSecret: sync.secret }).acquireTokenByClientCredential({ scopes: [cloud.scopes.graph] });
assert.ok(secret.accessToken);
done("msal-node: client credentials with a secret");

const certificate = new X509Certificate(readFileSync(sync.certificate));
const thumbprintSha256 = certificate.fingerprint256.replaceAll(":", "");
const clientCertificate = { thumbprintSha256, privateKey: readFileSync(sync.key, "utf8") };
const asserted = await client(sync, { clientCertificate }).acquireTokenByClientCredential({ scopes: [cloud.scopes.graph] });
assert.ok(asserted.accessToken);
done("msal-node: client credentials with a certificate assertion (PS256, x5t#S256)");

// A browser that keeps cookies and follows forms.
let cookie = "";
async function visit(url, options = {}) {
  const answer = await fetch(url, { redirect: "manual", ...options, headers: { ...options.headers, cookie } });
  cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
  return answer;
}

async function walk(url) {
  let answer = await visit(url);
  for (let page = 0; page < 4; page += 1) {
    if (answer.status === 302) return answer.headers.get("location");
    const text = await answer.text();
    const flow = /name="flow" value="([^"]+)"/.exec(text)[1];
    const action = /action="([^"]+)"/.exec(text)[1];
    const fields = text.includes('name="passwd"')
      ? { flow, step: "password", login: admin.login, passwd: admin.password }
      : { flow, step: "consent", decision: "accept" };
    answer = await visit(new URL(action, url), { method: "POST", body: new URLSearchParams(fields) });
  }
  throw new Error("the sign-in did not end");
}

const application = client(setup, { clientSecret: setup.secret });
const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
const request = { scopes: ["https://outlook.office365.com/Exchange.Manage"], redirectUri: "http://localhost:5555/callback" };
const url = await application.getAuthCodeUrl({ ...request, codeChallenge: challenge, codeChallengeMethod: "S256", responseMode: "query", state: "s", nonce: "n" });
const back = new URL(await walk(url));
assert.equal(back.searchParams.get("state"), "s");
const code = back.searchParams.get("code");
const result = await application.acquireTokenByCode({ ...request, code, codeVerifier: verifier, state: "s", nonce: "n" }, { state: "s", code });
assert.equal(result.account.username, admin.login);
assert.equal(result.tenantId, tenant);
done("msal-node: authorization code with PKCE for Exchange Online");

const run = await fetch(`${cloud.exchange}/adminapi/beta/${tenant}/InvokeCommand`, {
  method: "POST",
  headers: { authorization: `Bearer ${result.accessToken}`, "content-type": "application/json", "x-anchormailbox": `UPN:${admin.login}` },
  body: JSON.stringify({ CmdletInput: { CmdletName: "Get-AcceptedDomain", Parameters: {} } }),
});
assert.equal(run.status, 200);
assert.ok((await run.json()).value.some((domain) => domain.InitialDomain));
done("msal-node: its token runs a cmdlet");
