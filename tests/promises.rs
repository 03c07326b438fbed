//! The promises of `docs/PROMISES.md` and the ids at the tests are the same list.
//!
//! A promise is an item of that document that starts with its id in bold. A test carries the ids of
//! what it holds in a line comment that starts with them, alone or followed by words.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use files::rust_files;

#[test]
fn every_promise_stands_at_a_test() {
    let at_tests: BTreeSet<_> = ids_at_tests().into_keys().collect();
    let missing: Vec<_> = promised_ids().difference(&at_tests).cloned().collect();
    assert!(
        missing.is_empty(),
        "promised in docs/PROMISES.md and at no test: {missing:?}"
    );
}

#[test]
fn every_id_at_a_test_is_promised() {
    let promised = promised_ids();
    let unknown: Vec<_> = ids_at_tests()
        .into_iter()
        .filter(|(id, _)| !promised.contains(id))
        .collect();
    assert!(
        unknown.is_empty(),
        "at a test and not in docs/PROMISES.md: {unknown:?}"
    );
}

#[test]
fn a_promise_names_its_defaults_and_the_table_has_each() {
    let text = promises();
    let (promises, defaults) = text.split_once("\n## Defaults\n").expect("two parts");
    let rows = defaults.lines().filter(|line| line.starts_with("| "));
    let names = rows.skip(1).filter_map(|row| row.split('|').nth(1));
    let in_the_table: BTreeSet<_> = names.map(str::trim).collect();
    let items = promises
        .lines()
        .filter_map(|line| line.strip_prefix("- **"));
    let used: BTreeSet<_> = items
        .filter_map(|item| item.split_once("** "))
        .flat_map(|(_, promise)| promise.split('*').skip(1).step_by(2))
        .collect();
    assert_eq!(used, in_the_table);
}

#[test]
fn a_promise_has_no_figures_that_may_be_tuned() {
    let text = promises();
    let (promises, _) = text.split_once("\n## Defaults\n").expect("two parts");
    let units = ["s", "ms", "min", "h", "%", "KiB", "MiB", "bytes", "days"];
    let words: Vec<_> = promises.split_whitespace().collect();
    for pair in words.windows(2) {
        let unit = pair[1].trim_end_matches(|end: char| !end.is_alphanumeric() && end != '%');
        let is_figure = pair[0].parse::<f64>().is_ok() && units.contains(&unit);
        assert!(!is_figure, "{} {}", pair[0], pair[1]);
    }
}

#[test]
fn a_promise_is_an_item_that_starts_with_its_id() {
    let text =
        "# A1\n- **A1** first\n  - **A2** not an item of the list\n- **B13** last\n- C1 plain\n";
    assert_eq!(promises_in(text), ["A1", "B13"]);
}

#[test]
fn ids_are_read_from_line_comments_that_start_with_them() {
    for (line, ids) in [
        ("// A1", &["A1"][..]),
        ("        // A1, B13", &["A1", "B13"]),
        ("// A1, B3: both at once", &["A1", "B3"]),
        ("// C1 and C2 together", &["C1"]),
        ("// see A1", &[]),
        ("//A1", &[]),
        ("/// A1", &[]),
        ("// A1x", &[]),
        ("// A123", &[]),
        ("// A0", &[]),
        ("// AB", &[]),
        ("// L1", &[]),
        ("let x = 1; // A1", &[]),
        ("", &[]),
    ] {
        assert_eq!(ids_in_comment(line), ids, "{line:?}");
    }
}

#[test]
fn in_a_module_of_the_crate_only_its_tests_count() {
    let text = "// A1\nfn f() {}\n#[cfg(test)]\nmod tests {\n    // A2\n}\n";
    assert_eq!(ids_in(text, Place::Module), ["A2"]);
    assert_eq!(ids_in(text, Place::Test), ["A1", "A2"]);
}

fn promises() -> String {
    let path = root().join("docs/PROMISES.md");
    fs::read_to_string(path).expect("docs/PROMISES.md can be read")
}

fn promised_ids() -> BTreeSet<String> {
    let ids = promises_in(&promises());
    let unique: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(
        unique.len(),
        ids.len(),
        "an id stands twice in docs/PROMISES.md: {ids:?}"
    );
    assert!(!unique.is_empty(), "docs/PROMISES.md promises nothing");
    unique
}

fn promises_in(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("- **")?.split_once("** "))
        .filter_map(|(id, _)| split_id(id).filter(|(_, rest)| rest.is_empty()))
        .map(|(id, _)| id.to_owned())
        .collect()
}

/// The ids at the tests, each with the files that carry it.
fn ids_at_tests() -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut found: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (folder, place) in [
        ("src", Place::Module),
        ("tests", Place::Test),
        ("benches", Place::Test),
        ("crates/reqwest-bearer-rmcp", Place::Test),
        ("crates/reqwest-bearer-sqlx/src", Place::Module),
        ("crates/reqwest-bearer-sqlx/tests", Place::Test),
        ("crates/reqwest-bearer-testing/tests", Place::Test),
    ] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).expect("a source file can be read");
            let name = file.strip_prefix(root()).unwrap_or(&file).to_owned();
            for id in ids_in(&text, place) {
                found.entry(id).or_default().insert(name.clone());
            }
        }
    }
    found
}

#[derive(Clone, Copy)]
enum Place {
    /// A file of the crate: what stands before its tests explains the code and tests nothing.
    Module,
    /// A file that is all tests.
    Test,
}

fn ids_in(text: &str, place: Place) -> Vec<String> {
    let from_the_tests = text.lines().skip_while(|line| match place {
        Place::Module => line.trim() != "#[cfg(test)]",
        Place::Test => false,
    });
    from_the_tests.flat_map(ids_in_comment).collect()
}

fn ids_in_comment(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = line.trim_start().strip_prefix("// ");
    while let Some((id, after)) = rest.and_then(split_id) {
        if !after.is_empty() && !after.starts_with([' ', ',', '.', ':', ';']) {
            break;
        }
        ids.push(id.to_owned());
        rest = after.strip_prefix(", ");
    }
    ids
}

/// An id at the start of `text`, a letter of the document's parts and a number, and what follows.
fn split_id(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix(|letter| ('A'..='K').contains(&letter))?;
    let after = digits.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let number = &digits[..digits.len() - after.len()];
    let plausible = matches!(number.len(), 1 | 2) && !number.starts_with('0');
    plausible.then(|| text.split_at(text.len() - after.len()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
