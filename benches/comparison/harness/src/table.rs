//! The results as the tables of `docs/COMPARISON.md`; the test that compares the two includes this file.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// What one run of the harness leaves in `results.json`.
#[derive(Default, Deserialize, Serialize)]
pub struct Results {
    pub date: String,
    pub machine: String,
    pub rows: Vec<Row>,
}

/// One library.
#[derive(Default, Deserialize, Serialize)]
pub struct Row {
    pub id: String,
    pub name: String,
    pub version: String,
    /// By the case's id.
    pub cells: BTreeMap<String, String>,
}

/// A table, its name in the page and its columns: a case's id, and what stands above it.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, &'static str)],
}

pub const TABLES: [Table; 4] = [ASKING, REFUSED, ODD, COSTS];

const ASKING: Table = Table {
    name: "asking",
    columns: &[
        ("expired", "token expired, 1,000 calls: token requests"),
        (
            "failing",
            "server fails, 50 calls: token requests, longest wait in its answers, requests of 20 calls more",
        ),
        ("hiccup", "server fails once, 50 calls: failed"),
        (
            "early",
            "server down, token good, 20 calls: failed, token requests",
        ),
        ("dropped", "caller gives up: its token"),
        ("rotating", "rotating refresh token"),
        ("not-repeated", "one that is not repeated"),
    ],
};

const REFUSED: Table = Table {
    name: "refused",
    columns: &[
        ("late", "20 late 401s: healed, token requests"),
        ("resend", "POST, after a 401"),
        ("always", "API always says 401, 20 calls: token requests"),
        ("redirect", "hops at another origin with the token"),
        ("debug", "secrets in debug output"),
        ("errors", "secrets in errors or on the console"),
    ],
};

const ODD: Table = Table {
    name: "odd",
    columns: &[
        ("plain", "as in RFC 6749"),
        ("text-lifetime", "`\"expires_in\":\"3599\"`"),
        ("own-type", "`BearerToken`"),
        ("no-type", "no `token_type`"),
        ("type-bot", "`bot`"),
        ("nested", "nested"),
        ("form", "form"),
        ("basic-encoded", "basic, RFC 6749"),
        ("basic-as-it-is", "basic, as it is"),
        ("plain-end", "`invalid_grant`"),
        ("end-200", "200, `bad_refresh_token`"),
        ("end-ok-false", "200, `\"ok\":false`"),
        ("end-status", "`BAD_REFRESH_TOKEN`"),
        ("page", "a page in between"),
    ],
};

const COSTS: Table = Table {
    name: "costs",
    columns: &[
        ("crates", "crates"),
        ("size", "program, KiB"),
        ("build", "build, CPU seconds"),
        ("instructions", "token in hand, instructions"),
    ],
};

impl Results {
    /// One table, in Markdown; a library without a figure of it has no row.
    pub fn table(&self, table: &Table) -> String {
        let mut text = String::from("| |");
        for (_, heading) in table.columns {
            let _ = write!(text, " {heading} |");
        }
        text += "\n|---|";
        text += &"---|".repeat(table.columns.len());
        for row in &self.rows {
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
}

impl Row {
    pub fn cell(&self, case: &str) -> &str {
        self.cells.get(case).map_or("", String::as_str)
    }
}
