//! The figures of a run: one table with ratios for people, JSON for programs.

use std::fmt::Write;

/// Which way is better, for the ratios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
    /// Neither: it explains another figure.
    Neither,
}

#[derive(Clone, Debug)]
pub struct Figure {
    pub scenario: &'static str,
    pub name: String,
    pub unit: &'static str,
    pub better: Better,
    pub value: f64,
}

#[derive(Default)]
pub struct Report {
    servers: Vec<(String, String)>,
    rows: Vec<Row>,
    facts: Vec<(String, String)>,
    problems: Vec<String>,
}

struct Row {
    figure: Figure,
    values: Vec<(String, f64)>,
}

impl Figure {
    pub fn more(
        scenario: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        value: f64,
    ) -> Figure {
        Figure::new(scenario, name, unit, Better::More, value)
    }

    pub fn less(
        scenario: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        value: f64,
    ) -> Figure {
        Figure::new(scenario, name, unit, Better::Less, value)
    }

    pub fn note(
        scenario: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        value: f64,
    ) -> Figure {
        Figure::new(scenario, name, unit, Better::Neither, value)
    }

    fn new(
        scenario: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        value: f64,
    ) -> Figure {
        Figure {
            scenario,
            name: name.into(),
            unit,
            better,
            value,
        }
    }
}

impl Report {
    pub fn server(&mut self, name: &str, version: &str) {
        self.servers.push((name.to_owned(), version.to_owned()));
    }

    /// Something about the machine or the run.
    pub fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    pub fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    pub fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub fn add(&mut self, server: &str, figure: Figure) {
        let same = |row: &&mut Row| {
            row.figure.scenario == figure.scenario && row.figure.name == figure.name
        };
        let value = (server.to_owned(), figure.value);
        if let Some(row) = self.rows.iter_mut().find(same) {
            row.values.push(value);
        } else {
            self.rows.push(Row {
                figure,
                values: vec![value],
            });
        }
    }

    /// A column a server, then how many times better the first is than each of the others.
    pub fn table(&self) -> String {
        let columns: Vec<&str> = self.servers.iter().map(|(name, _)| name.as_str()).collect();
        let first = columns.first().copied().unwrap_or_default();
        let others: Vec<&str> = columns.iter().skip(1).copied().collect();
        let mut head = vec![
            "scenario".to_owned(),
            "figure".to_owned(),
            "unit".to_owned(),
        ];
        head.extend(columns.iter().map(|name| (*name).to_owned()));
        head.extend(others.iter().map(|name| format!("x {name}")));
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = vec![
                row.figure.scenario.to_owned(),
                row.figure.name.clone(),
                row.figure.unit.to_owned(),
            ];
            let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
            line.extend(columns.iter().map(|name| cell(row.value(name))));
            line.extend(others.iter().map(|name| {
                row.times_better(first, name)
                    .map_or_else(|| "-".to_owned(), |times| format!("{}x", number(times)))
            }));
            lines.push(line);
        }
        let mut out = String::new();
        for (name, value) in &self.facts {
            let _ = writeln!(out, "{name}: {value}");
        }
        for (name, version) in &self.servers {
            let _ = writeln!(out, "{name}: {version}");
        }
        out.push('\n');
        out.push_str(&aligned(&lines));
        for problem in &self.problems {
            let _ = writeln!(out, "FAILED {problem}");
        }
        out
    }

    pub fn json(&self) -> String {
        let facts = self
            .facts
            .iter()
            .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)));
        let servers = self
            .servers
            .iter()
            .map(|(name, version)| format!("{}:{}", quoted(name), quoted(version)));
        let rows = self.rows.iter().map(|row| {
            let values = row
                .values
                .iter()
                .map(|(server, value)| format!("{}:{}", quoted(server), plain(*value)));
            format!(
                "{{\"scenario\":{},\"figure\":{},\"unit\":{},\"better\":{},\"values\":{{{}}}}}",
                quoted(row.figure.scenario),
                quoted(&row.figure.name),
                quoted(row.figure.unit),
                quoted(row.figure.better.name()),
                joined(values, ",")
            )
        });
        format!(
            "{{\"facts\":{{{}}},\"servers\":{{{}}},\"figures\":[\n{}\n],\"problems\":[{}]}}\n",
            joined(facts, ","),
            joined(servers, ","),
            joined(rows, ",\n"),
            joined(self.problems.iter().map(|text| quoted(text)), ",")
        )
    }
}

impl Row {
    fn value(&self, server: &str) -> Option<f64> {
        self.values
            .iter()
            .find(|(name, _)| name == server)
            .map(|(_, value)| *value)
    }

    fn times_better(&self, one: &str, other: &str) -> Option<f64> {
        let (one, other) = (self.value(one)?, self.value(other)?);
        let times = match self.figure.better {
            Better::More => one / other,
            Better::Less => other / one,
            Better::Neither => return None,
        };
        // Of nothing there is no ratio.
        (times.is_finite() && times > 0.0).then_some(times)
    }
}

impl Better {
    fn name(self) -> &'static str {
        match self {
            Better::More => "more",
            Better::Less => "less",
            Better::Neither => "neither",
        }
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|l| l.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if column < 3 {
                let _ = write!(out, "{cell:<width$}  ");
            } else {
                let _ = write!(out, "{cell:>width$}  ");
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// Three significant digits, or all of a whole number's.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || value == value.trunc() {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

fn plain(value: f64) -> String {
    if value.is_finite() {
        format!("{value}")
    } else {
        "null".to_owned()
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}
