//! ejabberd as Debian configures it, with the archive on and without shapers. Run by `erl` directly and not distributed,
//! so that neither the system's node nor epmd is touched. Its backlog is Prosody's: with its own, of 5, logins wait for lost SYNs.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Kind, PASSWORD, Site, contacts_of, user};
use crate::Outcome;
use crate::process::{Guarded, installed};

const IMPORT_LIMIT: Duration = Duration::from_secs(900);

pub fn version() -> Option<String> {
    if !installed("ejabberdctl") || !installed("erl") {
        return None;
    }
    let said = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", "ejabberd"])
        .output();
    Some(said.map_or(String::new(), |said| {
        String::from_utf8_lossy(&said.stdout).into_owned()
    }))
}

/// XEP-0227, its own way to take over another server's users.
pub fn prepare(site: &Site) -> Outcome<()> {
    let mut users = String::from(
        "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'>\n",
    );
    for number in 0..site.accounts {
        write!(
            users,
            "<user name='{}' password='{PASSWORD}'><query xmlns='jabber:iq:roster'>",
            user(number)
        )?;
        for contact in contacts_of(number, site.accounts) {
            write!(
                users,
                "<item jid='{}@localhost' subscription='both'/>",
                user(contact)
            )?;
        }
        users.push_str("</query></user>\n");
    }
    users.push_str("</host></server-data>\n");
    site.write("users.xml", &users)?;
    let mut import = command(site)?;
    import.arg("-eval").arg(format!(
        "ok = ejabberd_piefxis:import_file(\"{}\"), {} = length(ejabberd_auth:get_users()), init:stop().",
        site.path("users.xml").display(),
        site.accounts
    ));
    let log = site.path("import.log");
    Guarded::start(&import, site.ground.core, &log)?
        .finish(IMPORT_LIMIT)
        .map_err(|error| {
            format!("{error}\n{}", fs::read_to_string(&log).unwrap_or_default()).into()
        })
}

pub fn command(site: &Site) -> Outcome<Command> {
    site.write(
        "certificate.pem",
        &format!("{}{}", site.certificate_pem, site.key_pem),
    )?;
    site.write("ejabberd.yml", &config(site))?;
    fs::create_dir_all(site.path("mnesia"))?;
    let mut command = Command::new("erl");
    command
        .current_dir(&site.dir)
        .env("HOME", &site.dir)
        .env("EJABBERD_CONFIG_PATH", site.path("ejabberd.yml"))
        .env("EJABBERD_LOG_PATH", site.path("ejabberd.log"))
        .env("ERL_CRASH_DUMP", site.path("crash.dump"))
        .env("ERL_LIBS", erlang_libraries())
        // Debian's ejabberdctl.
        .env("ERL_MAX_PORTS", "32000")
        .env("ERL_MAX_ETS_TABLES", "1400")
        .args(["+K", "true", "+P", "250000", "-noinput", "-mnesia", "dir"])
        .arg(format!("\"{}\"", site.path("mnesia").display()))
        .args(["-s", "ejabberd"]);
    Ok(command)
}

/// Debian puts ejabberd beside the architecture's libraries; `ejabberdctl` knows where.
fn erlang_libraries() -> String {
    let script = fs::read_to_string("/usr/sbin/ejabberdctl").unwrap_or_default();
    script
        .lines()
        .find_map(|line| line.strip_prefix("ERL_LIBS="))
        .map_or_else(String::new, |path| path.trim_matches('\'').to_owned())
}

fn config(site: &Site) -> String {
    let (sql, archive) = match site.kind {
        Kind::EjabberdSqlite => (
            format!(
                "sql_type: sqlite\nsql_database: \"{}\"\n",
                site.path("ejabberd.sqlite").display()
            ),
            "db_type: sql, ",
        ),
        _ => (String::new(), ""),
    };
    format!(
        r#"hosts: [localhost]
loglevel: warning
certfiles: ["{dir}/certificate.pem"]
acme: {{auto: false}}
{sql}listen:
  - {{port: {plain}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 128, max_stanza_size: 262144, access: c2s, starttls_required: true}}
  - {{port: {tls}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 128, max_stanza_size: 262144, access: c2s, tls: true}}
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
auth_password_format: scram
access_rules:
  c2s: {{allow: all}}
  local: {{allow: all}}
  pubsub_createnode: {{allow: all}}
shaper_rules:
  max_user_sessions: 100
  max_user_offline_messages: 100000
modules:
  mod_adhoc: {{}}
  mod_avatar: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_mam: {{{archive}assume_mam_usage: true, default: always}}
  mod_mix: {{}}
  mod_mix_pam: {{}}
  mod_muc:
    max_users: 5000
    max_users_presence: 5000
    max_user_conferences: 1000
    default_room_options: {{mam: true, max_users: 5000}}
  mod_offline: {{access_max_user_messages: max_user_offline_messages}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub:
    access_createnode: pubsub_createnode
    max_items_node: 10000
    force_node_config: {{entries: {{max_items: 10000}}}}
    plugins: [flat, pep]
  mod_push: {{}}
  mod_push_keepalive: {{}}
  mod_register: {{}}
  mod_roster: {{versioning: true}}
  mod_shared_roster: {{}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
  mod_vcard: {{search: false}}
  mod_vcard_xupdate: {{}}
  mod_version: {{}}
"#,
        dir = site.dir.display(),
        plain = site.plain.port(),
        tls = site.tls.port(),
    )
}
