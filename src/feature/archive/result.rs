//! XEP-0313 §4.2: a result.
use crate::store::Stored;
use crate::xml::Writer;
use crate::xmpp::ns;

/// What stands in one.
pub struct Found<'a> {
    pub query_id: Option<&'a str>,
    pub id: &'a str,
    /// The stanza, and how it is shown; `None`: it is not sent itself.
    pub stanza: Option<(&'a Stored, &'a str)>,
    /// Elements beside it.
    pub beside: &'a str,
}

impl Found<'_> {
    pub fn write(&self, w: &mut Writer<'_>) {
        w.open_ns("result", ns::MAM)
            .attr_opt("queryid", self.query_id)
            .attr("id", self.id);
        if let Some((stored, xml)) = self.stanza {
            w.open_ns("forwarded", ns::FORWARD);
            w.open_ns("delay", ns::DELAY)
                .attr("stamp", &stored.at.to_string())
                .close();
            w.raw(xml).close();
        }
        w.raw(self.beside).close();
    }
}
