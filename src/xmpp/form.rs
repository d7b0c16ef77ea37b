//! XEP-0004: data forms, as far as a server reads and writes them.
use crate::xml::{ElementRef, Writer};

use super::ns;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    Form,
    Submit,
    Cancel,
    Result,
}

impl FormKind {
    pub fn as_str(self) -> &'static str {
        match self {
            FormKind::Form => "form",
            FormKind::Submit => "submit",
            FormKind::Cancel => "cancel",
            FormKind::Result => "result",
        }
    }
}

/// One form: fields with their values, in order. `FORM_TYPE` (XEP-0068) is a field like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataForm {
    pub kind: FormKind,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub var: String,
    /// `text-single`, `list-multi` …; empty: not said.
    pub kind: &'static str,
    pub values: Vec<String>,
}

/// Opens a form of this `FORM_TYPE` (XEP-0068): its fields follow, and its end.
pub fn open_form(w: &mut Writer<'_>, kind: FormKind, form_type: &str) {
    w.open_ns("x", ns::DATA_FORM).attr("type", kind.as_str());
    w.open("field")
        .attr("var", "FORM_TYPE")
        .attr("type", "hidden")
        .leaf("value", form_type)
        .close();
}

impl DataForm {
    /// An empty form of this `FORM_TYPE`.
    pub fn new(kind: FormKind, form_type: &str) -> DataForm {
        DataForm {
            kind,
            fields: Vec::new(),
        }
        .hidden("FORM_TYPE", form_type)
    }

    fn hidden(mut self, var: &str, value: &str) -> DataForm {
        self.fields.push(Field {
            var: var.into(),
            kind: "hidden",
            values: vec![value.into()],
        });
        self
    }

    pub fn field(
        mut self,
        var: &str,
        kind: &'static str,
        values: impl IntoIterator<Item = String>,
    ) -> DataForm {
        self.fields.push(Field {
            var: var.into(),
            kind,
            values: values.into_iter().collect(),
        });
        self
    }

    /// Reads `<x xmlns='jabber:x:data'/>`; `None` when it is none or of an unknown type.
    pub fn parse(x: ElementRef<'_>) -> Option<DataForm> {
        if !x.is("x", ns::DATA_FORM) {
            return None;
        }
        let kind = match x.attribute("type").as_deref() {
            Some("form") => FormKind::Form,
            Some("submit") => FormKind::Submit,
            Some("cancel") => FormKind::Cancel,
            Some("result") => FormKind::Result,
            _ => return None,
        };
        Some(DataForm::read(x, kind))
    }

    /// The same of what can only be an answer: several programs leave out its type.
    pub fn parse_answer(x: ElementRef<'_>) -> Option<DataForm> {
        match x.attribute("type") {
            None if x.is("x", ns::DATA_FORM) => Some(DataForm::read(x, FormKind::Submit)),
            _ => DataForm::parse(x),
        }
    }

    fn read(x: ElementRef<'_>, kind: FormKind) -> DataForm {
        let fields = x
            .children()
            .filter(|c| c.is("field", ns::DATA_FORM))
            .filter_map(|field| {
                let values = field
                    .children()
                    .filter(|c| c.is("value", ns::DATA_FORM))
                    .map(|v| v.text().into_owned());
                Some(Field {
                    var: field.attribute("var")?.into_owned(),
                    kind: "",
                    values: values.collect(),
                })
            });
        DataForm {
            kind,
            fields: fields.collect(),
        }
    }

    pub fn form_type(&self) -> Option<&str> {
        self.value("FORM_TYPE")
    }

    /// First value of a field.
    pub fn value(&self, var: &str) -> Option<&str> {
        self.values(var)
            .and_then(|values| values.first())
            .map(String::as_str)
    }

    pub fn values(&self, var: &str) -> Option<&[String]> {
        self.fields
            .iter()
            .find(|field| field.var == var)
            .map(|field| field.values.as_slice())
    }

    pub fn write(&self, w: &mut Writer<'_>) {
        w.open_ns("x", ns::DATA_FORM)
            .attr("type", self.kind.as_str());
        for field in &self.fields {
            w.open("field").attr("var", &field.var);
            w.attr_opt("type", Some(field.kind).filter(|kind| !kind.is_empty()));
            for value in &field.values {
                w.leaf("value", value);
            }
            w.close();
        }
        w.close();
    }
}
