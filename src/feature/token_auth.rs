//! Access and refresh tokens as MongooseIM documents them (mod_auth_token), for clients written for it. Off unless enabled.

use crate::state::{Cx, Fault, OauthKind, OauthToken};
use crate::store::OauthGrant;
use crate::xmpp::{Timestamp, base64};

use super::{Feature, IqRoute, Reply, Request, To};

const NS: &str = "erlang-solutions.com:xmpp:token-auth:0";
/// What all these tokens of an account are called in XEP-0494.
pub const OAUTH_GRANT: &str = "x-oauth";

/// How long an access token is good.
pub const OAUTH_ACCESS_MS: i64 = 3_600_000;
const REFRESH_MS: i64 = 25 * 86_400_000;

pub const FEATURE: Feature = Feature {
    is_on: |settings| settings.x_oauth,
    // MongooseIM shows it among the server's features.
    disco: &[(To::Server, NS)],
    iq: &[IqRoute::get(To::OwnAccount, NS, "query", query).unrestricted()],
    ..Feature::new("token_auth")
};

/// One token of each kind.
fn query(cx: &mut Cx<'_>, request: &Request<'_>) -> Result<Reply, Fault> {
    let account = request.account_id();
    let now = cx.now.wall;
    let grant = match cx.tx.oauth_grant(account)? {
        Some(grant) => grant,
        None => {
            let mut salt = [0; 16];
            cx.entropy.fill(&mut salt);
            let grant = OauthGrant {
                salt,
                created: now,
                last_used: None,
            };
            cx.tx.set_oauth_grant(account, Some(&grant))?;
            grant
        }
    };
    let token = |kind, life_ms| {
        let token = OauthToken {
            kind,
            account: request.account_jid().clone(),
            expires: Timestamp(now.0.saturating_add(life_ms)),
        };
        base64(cx.state.tokens.write_oauth(&token, &grant.salt))
    };
    let access = token(OauthKind::Access, OAUTH_ACCESS_MS);
    let refresh = token(OauthKind::Refresh, REFRESH_MS);
    Ok(Reply::payload(|w| {
        w.open_ns("items", NS);
        w.leaf("access_token", &access);
        w.leaf("refresh_token", &refresh);
        w.close();
    }))
}
