//! What the documents say of other libraries is what the last run of the comparison has left
//! (`benches/comparison/results.json`), and nothing in its tables was written by hand.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

#[path = "../benches/comparison/harness/src/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use table::{Results, SHORT, TABLES};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).expect("the file is there")
}

fn results() -> Results {
    let text = read("benches/comparison/results.json");
    serde_json::from_str(&text).expect("what the harness has written")
}

/// The Markdown tables of a page, each as it stands there.
fn tables(page: &str) -> BTreeSet<String> {
    let blocks = page.split("\n\n").map(str::trim);
    let tables = blocks.filter(|block| block.starts_with("| "));
    tables.map(str::to_owned).collect()
}

#[test]
fn the_page_has_the_tables_of_the_last_run() {
    let (results, page) = (results(), read("docs/COMPARISON.md"));
    let there = tables(&page);
    for table in &TABLES {
        let ours = results.table(table);
        assert!(
            there.contains(&ours),
            "docs/COMPARISON.md should have this table, {}:\n{ours}",
            table.name
        );
    }
    let origin = results.origin();
    assert!(page.contains(&origin), "docs/COMPARISON.md: {origin}");
}

#[test]
fn the_readme_has_the_short_table_of_the_last_run() {
    let short = results().table(&SHORT);
    let there = tables(&read("README.md"));
    assert!(there.contains(&short), "README.md:\n{short}");
}

#[test]
fn each_library_was_played_every_case() {
    let results = results();
    for row in &results.rows {
        for (case, _) in TABLES.iter().flat_map(|table| table.columns) {
            let cell = row.cells.get(*case).map(String::as_str);
            assert!(
                cell.is_some_and(|cell| !cell.is_empty()),
                "{}: {case}",
                row.id
            );
        }
    }
    let ours = results.rows.iter().find(|row| row.id == "ours");
    let ours = ours.expect("this crate is one of them");
    assert_eq!(ours.version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_warm_call_costs_in_the_documents_what_it_costs_in_the_benches() {
    let (page, benches) = (read("docs/COMPARISON.md"), read("benches/README.md"));
    let calls = tables(&page);
    let calls = calls.iter().find(|table| table.contains("allocations"));
    let rows = calls.expect("a table of warm calls").lines().skip(2);
    let mut compared = 0;
    for row in rows {
        let (instructions, of_the_limit) = figures(row);
        let same = benches.lines().filter(|line| {
            let (other, ratio) = figures(&line.replace("**", ""));
            other == instructions && ratio == of_the_limit
        });
        assert_eq!(same.count(), 1, "benches/README.md: {row}");
        compared += 1;
    }
    assert_eq!(compared, 3);
}

/// The second and the third cell of a row.
fn figures(row: &str) -> (String, String) {
    let mut cells = row.split('|').skip(2).map(|cell| cell.trim().to_owned());
    let mut next = || cells.next().unwrap_or_default();
    (next(), next())
}
