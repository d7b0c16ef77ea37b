//! XEP-0157: Contact Addresses for XMPP Services, a form in the server's disco#info.
use crate::state::Settings;
use crate::xmpp::{DataForm, FormKind};

use super::{Feature, Spec};

const FORM_TYPE: &str = "http://jabber.org/network/serverinfo";

pub const FEATURE: Feature = Feature {
    specs: &[Spec::complete(
        "XEP-0157",
        "Contact Addresses for XMPP Services",
        "1.1.1",
    )],
    ..Feature::new("contact_addresses")
};

/// §3: the addresses the operator gave; none, no form.
pub fn form(settings: &Settings) -> Option<DataForm> {
    let given = settings
        .contact_addresses
        .iter()
        .filter(|(_, addresses)| !addresses.is_empty());
    let mut form = DataForm::new(FormKind::Result, FORM_TYPE);
    let mut is_empty = true;
    for (field, addresses) in given {
        form = form.field(field, "", addresses.iter().cloned());
        is_empty = false;
    }
    (!is_empty).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_only_if_there_are_addresses() {
        let mut settings = Settings::new("localhost");
        assert_eq!(form(&settings), None);
        settings.contact_addresses = vec![("abuse-addresses".into(), Vec::new())];
        assert_eq!(form(&settings), None);
        let addresses = vec!["xmpp:admin@localhost".to_string()];
        settings
            .contact_addresses
            .push(("admin-addresses".into(), addresses.clone()));
        let form = form(&settings).unwrap();
        assert_eq!(form.form_type(), Some(FORM_TYPE));
        assert_eq!(form.values("admin-addresses"), Some(addresses.as_slice()));
        assert_eq!(form.values("abuse-addresses"), None);
    }
}
