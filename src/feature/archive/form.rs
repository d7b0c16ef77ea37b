//! XEP-0313 §4.1.5: what a query may ask for.
use crate::state::{Cx, Fault, Settings};
use crate::xmpp::{FormKind, ns, open_form};

use super::super::{Reply, Request};
use super::{collation, completion, search};

pub fn fields(cx: &mut Cx<'_>, _request: &Request<'_>) -> Result<Reply, Fault> {
    Ok(write_fields(&cx.state.settings))
}

pub fn write_fields(settings: &Settings) -> Reply {
    let words = settings
        .archive_search
        .then_some((search::FIELD, "text-single"));
    Reply::payload(|w| {
        w.open_ns("query", ns::MAM);
        open_form(w, FormKind::Form, ns::MAM);
        for (var, kind) in [
            ("with", "jid-single"),
            ("start", "text-single"),
            ("end", "text-single"),
            ("before-id", "text-single"),
            ("after-id", "text-single"),
            ("include-groupchat", "boolean"),
            (completion::FIELD, "boolean"),
        ]
        .into_iter()
        .chain(words)
        {
            w.open("field").attr("type", kind).attr("var", var).close();
        }
        w.open("field")
            .attr("type", "list-single")
            .attr("var", collation::FIELD);
        for form in collation::Summary::ALL {
            w.open("option").leaf("value", form.as_str()).close();
        }
        w.close();
        w.open("field")
            .attr("type", "list-multi")
            .attr("var", "ids");
        w.open_ns("validate", "http://jabber.org/protocol/xdata-validate")
            .attr("datatype", "xs:string");
        w.open("open").close().close().close();
        w.close().close();
    })
}
