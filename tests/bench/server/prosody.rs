//! Prosody as Debian configures it, made ready as a careful admin would: archive on, no Nagle, no rate limits. Accounts
//! are written in its own file format, all with one salt, because adding them one by one takes minutes.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use super::{Kind, PASSWORD, Site, contacts_of, user};
use crate::Outcome;
use crate::process::installed;
use crate::scram::{Hash, Scram};

const SALT: &str = "6a1f4c52-bench-salt";
/// Prosody's own default.
const ITERATIONS: u32 = 10_000;

pub fn version() -> Option<String> {
    if !installed("prosody") {
        return None;
    }
    let said = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", "prosody"])
        .output();
    Some(said.map_or(String::new(), |said| {
        String::from_utf8_lossy(&said.stdout).into_owned()
    }))
}

pub fn prepare(site: &Site) -> Outcome<()> {
    let keys = Scram::new(PASSWORD).keys(Hash::Sha1, SALT.as_bytes(), ITERATIONS)?;
    let account = format!(
        "return {{ [\"salt\"] = \"{SALT}\"; [\"iteration_count\"] = {ITERATIONS}; \
         [\"stored_key\"] = \"{}\"; [\"server_key\"] = \"{}\"; }};\n",
        hex(&keys.stored),
        hex(&keys.server)
    );
    let host = site.path("data/localhost");
    fs::create_dir_all(host.join("accounts"))?;
    fs::create_dir_all(host.join("roster"))?;
    for number in 0..site.accounts {
        let file = format!("{}.dat", user(number));
        fs::write(host.join("accounts").join(&file), &account)?;
        let mut roster = String::from("return {\n");
        for contact in contacts_of(number, site.accounts) {
            writeln!(
                roster,
                "[\"{}@localhost\"] = {{ [\"subscription\"] = \"both\"; [\"groups\"] = {{}}; }};",
                user(contact)
            )?;
        }
        roster.push_str("[false] = { [\"version\"] = 1; [\"pending\"] = {}; };\n};\n");
        fs::write(host.join("roster").join(&file), roster)?;
    }
    Ok(())
}

pub fn command(site: &Site) -> Outcome<Command> {
    site.write("certificate.pem", &site.certificate_pem)?;
    site.write("key.pem", &site.key_pem)?;
    let storage = match site.kind {
        Kind::ProsodySqlite => {
            "storage = \"internal\"\nstorage = { archive = \"sql\" }\nsql = { driver = \"SQLite3\", database = \"prosody.sqlite\" }"
        }
        _ => "storage = \"internal\"",
    };
    let config = format!(
        r#"run_as_root = true
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {plain} }}
c2s_direct_tls_ports = {{ {tls} }}
ssl = {{ certificate = "{dir}/certificate.pem", key = "{dir}/key.pem" }}
c2s_require_encryption = true
-- Without this every login waits for the client's delayed acknowledgements.
network_settings = {{ nagle = false }}
-- Debian's list, with the archive; without mod_limits, registration of new accounts and what federates.
modules_enabled = {{
  "disco", "roster", "saslauth", "tls", "blocklist", "bookmarks", "carbons", "pep", "private", "smacks",
  "vcard4", "vcard_legacy", "csi_simple", "ping", "time", "uptime", "version", "posix", "mam",
  "user_account_management",
}}
modules_disabled = {{ "s2s", "admin_shell" }}
authentication = "internal_hashed"
{storage}
archive_expires_after = "1w"
-- Its default of 10,000 messages an account would make the archive scenario lose some.
storage_archive_item_limit = 1000000
pep_max_items = 10000
log = {{ warn = "{dir}/prosody.log" }}
VirtualHost "localhost"
Component "conference.localhost" "muc"
  modules_enabled = {{ "muc_mam" }}
  muc_log_by_default = true
"#,
        dir = site.dir.display(),
        plain = site.plain.port(),
        tls = site.tls.port(),
    );
    site.write("prosody.cfg.lua", &config)?;
    let mut command = Command::new("prosody");
    command
        .arg("-F")
        .arg("--config")
        .arg(site.path("prosody.cfg.lua"));
    Ok(command)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
