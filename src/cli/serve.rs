//! `stonechat serve`: runs the server.
use argh::FromArgs;

use crate::config::{Override, StartError, data_directory};
use crate::net;
use crate::net::control::Answer;

/// Run the server. All settings but --data may also stand in stonechat.toml in the data directory.
#[derive(FromArgs, Default)]
#[argh(subcommand, name = "serve")]
pub struct Serve {
    /// the domain served; default: <hostname>.local
    #[argh(option, arg_name = "NAME")]
    domain: Option<String>,
    /// directory of the database and everything else that stays; default: $STATE_DIRECTORY, else
    /// ~/.local/share/stonechat
    #[argh(option, arg_name = "DIR")]
    data: Option<String>,
    /// where clients connect with STARTTLS, or `none`; may be given several times; default: [::]:5222
    #[argh(option, arg_name = "ADDR:PORT")]
    c2s: Vec<String>,
    /// where clients connect with TLS from the first byte, or `none`; default: [::]:5223
    #[argh(option, arg_name = "ADDR:PORT")]
    c2s_tls: Vec<String>,
    /// certificate chain (PEM); default: one is made
    #[argh(option, arg_name = "FILE")]
    cert: Option<String>,
    /// private key of the certificate (PEM)
    #[argh(option, arg_name = "FILE")]
    key: Option<String>,
    /// error, warn, info, debug or trace; default: info
    #[argh(option, arg_name = "LEVEL")]
    log: Option<String>,
    /// any other setting, as in stonechat.toml; may be given several times
    #[argh(option, arg_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Serve {
    pub fn run(self) -> Result<Answer, StartError> {
        let config = super::load(self.data.as_deref(), &self.overrides()?)?;
        super::logging::start(config.log);
        // The path as an operator has to repeat it, only where commands would not find it by themselves.
        let by_default = data_directory(None, super::environment).ok();
        let data_flag = match by_default.as_ref() == Some(&config.data) {
            true => String::new(),
            false => format!(" --data {}", config.data.display()),
        };
        net::serve(&config, &data_flag)?;
        Ok(Answer {
            code: 0,
            text: String::new(),
        })
    }

    fn overrides(&self) -> Result<Vec<Override>, StartError> {
        let mut overrides = Vec::new();
        for pair in &self.set {
            let (key, value) = pair.split_once('=').ok_or_else(|| StartError::Setting {
                place: "--set".into(),
                key: None,
                reason: format!("\"{pair}\" is not of the form KEY=VALUE"),
                remedy: "write for example --set archive_days_max=365".into(),
            })?;
            overrides.push(given("--set", key.trim(), vec![value.trim().to_string()]));
        }
        let once = [
            ("--domain", "domain", &self.domain),
            ("--cert", "cert", &self.cert),
            ("--key", "key", &self.key),
            ("--log", "log", &self.log),
        ];
        for (flag, key, value) in once {
            overrides.extend(value.clone().map(|value| given(flag, key, vec![value])));
        }
        for (flag, key, values) in [
            ("--c2s", "c2s", &self.c2s),
            ("--c2s-tls", "c2s_tls", &self.c2s_tls),
        ] {
            if !values.is_empty() {
                overrides.push(given(flag, key, values.clone()));
            }
        }
        Ok(overrides)
    }
}

fn given(flag: &str, key: &str, values: Vec<String>) -> Override {
    Override {
        flag: flag.to_string(),
        key: key.to_string(),
        values,
    }
}
