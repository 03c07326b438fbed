//! The results as the tables of the documents; `tests/comparison.rs`, which compares the two, includes this file.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// What a run of the harness leaves in `results.json`.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Results {
    /// Of the last figure.
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) rows: Vec<Row>,
}

/// One library.
#[derive(Default, Deserialize, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// By the case's id; `-` where the library has nothing of the kind.
    pub(crate) cells: BTreeMap<String, String>,
}

/// Which figures stand beside each other.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// A case's id, and what stands above it.
    pub(crate) columns: &'static [(&'static str, &'static str)],
    /// The libraries that have a row; all where there is none.
    pub(crate) rows: &'static [&'static str],
}

/// The tables of `docs/COMPARISON.md`.
pub(crate) const TABLES: [Table; 4] = [
    Table {
        name: "asking",
        rows: &[],
        columns: &[
            ("expired", "expired, 1,000 calls"),
            ("failing", "server fails, 50 calls"),
            ("hiccup", "fails once, 50 calls"),
            ("early", "down early, 20 calls"),
            ("dropped", "caller gives up"),
            ("rotating", "rotated"),
            ("not-repeated", "not repeated"),
        ],
    },
    Table {
        name: "refused",
        rows: &[],
        columns: &[
            ("late", "20 late 401s"),
            ("resend", "POST, 401"),
            ("always", "always 401"),
            ("redirect", "redirect"),
            ("debug", "secrets in debug output"),
            ("errors", "in errors"),
        ],
    },
    Table {
        name: "odd",
        rows: &[],
        columns: &[
            ("plain", "RFC 6749"),
            ("text-lifetime", "lifetime as text"),
            ("own-type", "own type"),
            ("no-type", "no type"),
            ("type-bot", "`bot`"),
            ("nested", "nested"),
            ("form", "form"),
            ("basic-encoded", "secret encoded"),
            ("basic-as-it-is", "secret as it is"),
            ("plain-end", "end"),
            ("end-200", "end by 200"),
            ("end-ok-false", "end by `ok`"),
            ("end-status", "end by `status`"),
            ("page", "page"),
        ],
    },
    Table {
        name: "costs",
        rows: &[],
        columns: &[
            ("crates", "crates"),
            ("size", "program, KiB"),
            ("build", "build, CPU seconds"),
            ("instructions", "instructions"),
        ],
    },
];

/// The short one of the README.
pub(crate) const SHORT: Table = Table {
    name: "short",
    rows: &[
        "ours",
        "by-hand",
        "huskarl-adapter",
        "badgateway",
        "authlib_adapter",
    ],
    columns: &[
        (
            "failing",
            "50 calls at a server that fails: token requests, longest wait, 20 calls more",
        ),
        (
            "early",
            "it is down, the token good, 20 calls: failed, token requests",
        ),
        ("dropped", "a caller gives up: its token is"),
        ("late", "20 late 401s: healed, token requests"),
        ("redirect", "hops elsewhere with the token"),
    ],
};

impl Results {
    /// One table, in Markdown; a library without a figure of it has no row.
    pub(crate) fn table(&self, table: &Table) -> String {
        let mut text = String::from("| |");
        for (_, heading) in table.columns {
            let _ = write!(text, " {heading} |");
        }
        text += "\n|---|";
        text += &"---|".repeat(table.columns.len());
        let has_row = |row: &&Row| table.rows.is_empty() || table.rows.contains(&row.id.as_str());
        for row in self.rows.iter().filter(has_row) {
            let cells = table.columns.iter().map(|(id, _)| row.cell(id));
            let cells: Vec<_> = cells.collect();
            if cells.iter().all(|cell| matches!(*cell, "" | "-")) {
                continue;
            }
            let _ = write!(text, "\n| {} {} |", row.name, row.version);
            for cell in cells {
                let _ = write!(text, " {cell} |");
            }
        }
        text
    }

    /// Where the figures come from, as a sentence of the page.
    pub(crate) fn origin(&self) -> String {
        format!("Measured on {}: {}.", self.date, self.machine)
    }
}

impl Row {
    fn cell(&self, case: &str) -> &str {
        self.cells.get(case).map_or("", String::as_str)
    }
}
