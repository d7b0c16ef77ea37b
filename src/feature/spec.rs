//! What is claimed of each specification; the README's table is printed from here.
use super::FEATURES;

/// How much of a specification is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Complete,
    /// What is missing.
    Partial(&'static str),
}

/// One specification a feature implements.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// `XEP-0199` or `RFC 6121`.
    pub number: &'static str,
    pub title: &'static str,
    /// The version read; empty for an RFC.
    pub version: &'static str,
    pub support: Support,
}

impl Spec {
    pub const fn complete(
        number: &'static str,
        title: &'static str,
        version: &'static str,
    ) -> Spec {
        Spec {
            number,
            title,
            version,
            support: Support::Complete,
        }
    }

    pub const fn partial(
        number: &'static str,
        title: &'static str,
        version: &'static str,
        missing: &'static str,
    ) -> Spec {
        Spec {
            number,
            title,
            version,
            support: Support::Partial(missing),
        }
    }
}

/// The table of the README, in Markdown, RFCs first, then by number. `others`: those that are above features.
pub fn specification_table(others: &[Spec]) -> String {
    let features = FEATURES.iter().flat_map(|feature| feature.specs);
    let mut specs: Vec<&Spec> = features.chain(others).collect();
    specs.sort_by_key(|spec| (spec.number.starts_with('X'), spec.number));
    let mut table =
        String::from("| specification | title | version | support |\n| --- | --- | --- | --- |\n");
    for spec in specs {
        let support = match spec.support {
            Support::Complete => "complete".to_string(),
            Support::Partial(missing) => format!("partial: {missing}"),
        };
        table.push_str(&format!(
            "| {} | {} | {} | {support} |\n",
            spec.number, spec.title, spec.version
        ));
    }
    table
}
