//! The least there is to be done: TLS in, TLS out, nothing read in between. The same rustls on the same loop as the load;
//! this program starts itself again as the relay. A connection's first stanza says which number it has and which it feeds.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Site;
use crate::swarm::{LinkId, Swarm};
use crate::{Outcome, scan};

pub fn command(site: &Site) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--relay").arg(site.tls.to_string());
    command.arg("--relay-plain").arg(site.plain.to_string());
    Ok(command)
}

/// Runs until it is ended.
pub fn run(address: SocketAddr, plain: SocketAddr) -> Outcome<()> {
    // Nobody speaks here; whoever waits for the server looks at both ports.
    let _plain = TcpListener::bind(plain)?;
    let (certificate, key) = super::certificate()?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
    let mut swarm = Swarm::new()?;
    swarm.listen(TcpListener::bind(address)?, Arc::new(config))?;
    let mut known: HashMap<String, LinkId> = HashMap::new();
    let mut feeds: HashMap<LinkId, String> = HashMap::new();
    loop {
        swarm.turn(Duration::from_secs(60))?;
        while let Some(news) = swarm.next_news() {
            let bytes = swarm.take(news.id);
            let mut used = bytes.len();
            if let Some(to) = feeds.get(&news.id).and_then(|name| known.get(name)) {
                swarm.send(*to, &bytes);
            } else if let Some((hello, length)) = scan::piece(&bytes) {
                let name = scan::attribute(hello, "from").ok_or("relay: no name")?;
                let feeds_whom = scan::attribute(hello, "to").ok_or("relay: no target")?;
                known.insert(name.to_owned(), news.id);
                feeds.insert(news.id, feeds_whom.to_owned());
                swarm.send(news.id, b"<iq type='result' id='hello'/>");
                used = length;
            } else {
                used = 0;
            }
            swarm.keep(news.id, bytes, used);
            if news.ended {
                swarm.close(news.id);
            }
        }
    }
}
